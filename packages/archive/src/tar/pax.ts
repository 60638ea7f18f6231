import { malformed } from "../failures.ts";
import { parseDecimal } from "./numbers.ts";

/** One record of a pax extended header: "LENGTH KEY=VALUE\n", the length counting itself. Each character of it and of the value is a byte. */
export function paxRecord(key: string, value: string): string {
  const rest = key.length + value.length + 3;
  let digits = 1;
  while (String(rest + digits).length > digits) digits += 1;
  return `${rest + digits} ${key}=${value}\n`;
}

/** Only what we use is kept: global headers live as long as the archive, so others would let it fill the memory. */
const KNOWN = new Set(
  [
    "path linkpath size uid gid uname gname mtime",
    "GNU.sparse.major GNU.sparse.minor GNU.sparse.name GNU.sparse.realsize GNU.sparse.size GNU.sparse.map",
  ].flatMap((keys) => keys.split(" ")),
);

/** The records of a pax header that mean something to us: the last value of each key, and all pairs of GNU.sparse 0.0, which repeats its keys. */
export interface PaxRecords {
  values: Map<string, Buffer>;
  sparsePairs: number[];
}

/** Parses the data of a pax extended header ('x' or 'g'). */
export function parsePax(data: Buffer): PaxRecords {
  const values = new Map<string, Buffer>();
  const sparsePairs: number[] = [];
  let at = 0;
  while (at < data.length) {
    const space = data.indexOf(0x20, at);
    if (space < 0 || space - at > 8 || space === at) throw malformed("a pax record has no length");
    const length = parseDecimal(data.toString("latin1", at, space), "a pax record's length");
    const end = at + length;
    if (end > data.length || end <= space + 2 || data[end - 1] !== 0x0a)
      throw malformed("a pax record's length is wrong");
    const equals = data.indexOf(0x3d, space);
    if (equals < 0 || equals >= end - 1) throw malformed("a pax record has no value");
    const key = data.toString("utf8", space + 1, equals);
    const value = data.subarray(equals + 1, end - 1);
    if (key === "GNU.sparse.offset" || key === "GNU.sparse.numbytes") {
      if ((sparsePairs.length % 2 === 0) !== (key === "GNU.sparse.offset"))
        throw malformed("the sparse map is not in pairs");
      sparsePairs.push(parseDecimal(value.toString("latin1"), key));
    } else if (KNOWN.has(key)) values.set(key, value);
    at = end;
  }
  return { values, sparsePairs };
}
