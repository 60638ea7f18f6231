import type { DataRun, EntryType, FileEntry } from "@xvault/kernel";
import { malformed } from "../failures.ts";
import { parseSeconds } from "../seconds.ts";
import { BLOCK, checksum } from "./header.ts";
import { parseDecimal, readNumber } from "./numbers.ts";

const USTAR = Buffer.from("ustar\0");
const BILLION = 1_000_000_000n;
const EMPTY = Buffer.alloc(0);
const NOTHING = { name: EMPTY, link: EMPTY, mode: 0, uid: 0, gid: 0, size: 0, mtime: 0, uname: EMPTY, gname: EMPTY };

/** A header block as it stands, its checksum verified. */
export interface RawHeader {
  flag: string;
  name: Buffer;
  link: Buffer;
  mode: number;
  uid: number;
  gid: number;
  size: number;
  mtime: number;
  uname: Buffer;
  gname: Buffer;
}

/** What extended headers said about the member that follows them. */
export interface Extensions {
  /** Offset of the first of these headers. */
  start: number;
  values: Map<string, Buffer>;
  sparsePairs: number[];
  longName: Buffer | null;
  longLink: Buffer | null;
}

/** Decodes one header block (ustar, GNU or old). */
export function decodeBlock(block: Buffer): RawHeader {
  if (block.length !== BLOCK) throw malformed("a header is not one block");
  const stated = readNumber(block, 148, 8, "checksum");
  if (stated !== checksum(block) && stated !== signedChecksum(block)) throw malformed("a header's checksum is wrong");
  const flag = String.fromCharCode(block[156] || 0x30);
  // Of a header that only says something of the next one, nothing but its size counts.
  if (flag === "x" || flag === "g") return { ...NOTHING, flag, size: readNumber(block, 124, 12, "size") };
  const name = field(block, 0, 100);
  // GNU's own magic is followed by other things where ustar has the prefix.
  const hasPrefix = block[345] !== 0 && block.compare(USTAR, 0, USTAR.length, 257, 263) === 0;
  const prefix = hasPrefix ? field(block, 345, 155) : EMPTY;
  return {
    flag,
    name: prefix.length > 0 ? Buffer.concat([prefix, Buffer.from("/"), name]) : name,
    link: field(block, 157, 100),
    mode: readNumber(block, 100, 8, "mode") & 0o7777,
    uid: readNumber(block, 108, 8, "uid"),
    gid: readNumber(block, 116, 8, "gid"),
    size: readNumber(block, 124, 12, "size"),
    mtime: readNumber(block, 136, 12, "mtime"),
    uname: field(block, 265, 32),
    gname: field(block, 297, 32),
  };
}

/** Bytes up to the first NUL. */
function field(block: Buffer, at: number, width: number): Buffer {
  if (block[at] === 0) return EMPTY;
  let end = at;
  while (end < at + width && block[end] !== 0) end += 1;
  return block.subarray(at, end);
}

function signedChecksum(block: Buffer): number {
  let sum = 8 * 0x20;
  for (let i = 0; i < BLOCK; i += 1) if (i < 148 || i >= 156) sum += ((block[i] ?? 0) << 24) >> 24;
  return sum;
}

/** What a member is, before its sparse map (which may stand in its data) is known. */
export interface Member {
  /** Null for what is never kept: devices, FIFOs and flags that we do not know. */
  type: EntryType | null;
  path: Buffer;
  /** Bytes of data that follow in the archive, padding not counted. */
  stored: number;
  build(content: { size: number; sparse?: DataRun[] | undefined }): FileEntry;
}

/** Puts a header and what its extensions say together. */
export function assemble(raw: RawHeader, ext: Extensions): Member {
  const text = (key: string) => ext.values.get(key)?.toString("utf8");
  const name = ext.values.get("GNU.sparse.name") ?? ext.values.get("path") ?? ext.longName ?? raw.name;
  const sizeText = text("size");
  const stored = sizeText === undefined ? raw.size : parseDecimal(sizeText, "size");
  if (stored < 0) throw malformed("a size is negative");
  const directoryByName = name.at(-1) === 0x2f && (raw.flag === "0" || raw.flag === "7");
  const type = directoryByName ? "dir" : typeOf(raw.flag);
  if (type !== null && type !== "file" && stored !== 0) throw malformed("an entry that is not a file has data");

  // Copies: what the header lies in is good for this member only.
  const path = Buffer.from(relative(name, type === "dir"));
  const link = Buffer.from(ext.values.get("linkpath") ?? ext.longLink ?? raw.link);
  const owner = (key: "uid" | "gid") => {
    const value = text(key);
    const number = value === undefined ? raw[key] : parseDecimal(value, key);
    if (number < 0) throw malformed(`a ${key} is negative`);
    return number;
  };
  return {
    type,
    path,
    stored,
    build: ({ size, sparse }) => {
      const entry: FileEntry = {
        path,
        type: type ?? "file",
        size,
        mode: raw.mode,
        uid: owner("uid"),
        gid: owner("gid"),
        mtimeNs: modified(raw, text("mtime")),
      };
      const uname = text("uname") ?? raw.uname.toString("utf8");
      const gname = text("gname") ?? raw.gname.toString("utf8");
      if (uname !== "") entry.uname = uname;
      if (gname !== "") entry.gname = gname;
      if (type === "symlink") entry.linkTarget = link;
      if (type === "hardlink") entry.linkTarget = relative(link, false);
      if (sparse) entry.sparse = sparse;
      return entry;
    },
  };
}

function typeOf(flag: string): EntryType | null {
  switch (flag) {
    case "0":
    case "7":
    case "S":
      return "file";
    case "1":
      return "hardlink";
    case "2":
      return "symlink";
    case "5":
      return "dir";
    default:
      return null;
  }
}

function modified(raw: RawHeader, text: string | undefined): bigint {
  if (text === undefined) return BigInt(raw.mtime) * BILLION;
  const ns = parseSeconds(text);
  if (ns === null) throw malformed("mtime is not a number");
  return ns;
}

/** Strips leading './' and the trailing '/' of a directory. The tree's own root ('.' or './') becomes empty. Nothing else is changed. */
function relative(name: Buffer, directory: boolean): Buffer {
  let start = 0;
  let end = name.length;
  while (name[start] === 0x2e && name[start + 1] === 0x2f) start += 2;
  if (directory) {
    while (end > start + 1 && name[end - 1] === 0x2f) end -= 1;
    if (end - start === 1 && name[start] === 0x2e) start = end;
  }
  return name.subarray(start, end);
}
