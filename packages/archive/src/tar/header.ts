import { isAscii, isUtf8 } from "node:buffer";
import { bodyLength, type EntryType, type FileEntry } from "@xvault/kernel";
import { formatSeconds } from "../seconds.ts";
import { octalLimit, writeOctal } from "./numbers.ts";
import { paxRecord } from "./pax.ts";
import { encodeSparseMap } from "./sparse.ts";

/** The unit of tar: headers are one block, data is padded to whole blocks. Bytes. */
export const BLOCK = 512;

/** The two zero blocks that end an archive. */
export const TAR_END: Buffer = Buffer.alloc(2 * BLOCK);

const ZEROS = Buffer.alloc(BLOCK);
const SLASH = Buffer.from("/");
const EMPTY = Buffer.alloc(0);
const BILLION = 1_000_000_000n;
const TYPE_FLAG: Record<EntryType, string> = { file: "0", hardlink: "1", symlink: "2", dir: "5" };

/** The zeros that follow a body of `length` bytes. */
export function tarPadding(length: number): Buffer {
  return ZEROS.subarray(0, (BLOCK - (length % BLOCK)) % BLOCK);
}

/**
 * Everything that precedes an entry's body in a tar: a pax extended header where ustar cannot hold the entry, the ustar
 * header, and the map of a sparse file. `bodyLength(entry)` bytes and `tarPadding` of them follow.
 *
 * Names are byte-exact: those that are not UTF-8 stand in the ustar header alone while they fit, else in a pax record under
 * `hdrcharset=BINARY`. Paths are not checked here (see `checkEntry`).
 */
export function tarHeader(entry: FileEntry): Buffer {
  const records: Buffer[] = [];
  let binary = false;
  const record = (key: string, value: Buffer) => {
    records.push(paxRecord(key, value));
    binary ||= !isUtf8(value);
  };

  const path = entry.type === "dir" ? Buffer.concat([entry.path, SLASH]) : entry.path;
  const map = entry.type === "file" && entry.sparse ? encodeSparseMap(entry.sparse, entry.size) : EMPTY;
  let name = path;
  if (map.length > 0) {
    records.push(paxRecord("GNU.sparse.major", "1"), paxRecord("GNU.sparse.minor", "0"));
    record("GNU.sparse.name", path);
    records.push(paxRecord("GNU.sparse.realsize", String(entry.size)));
    name = condensedName(path);
  } else if (needsRecord(path)) record("path", path);

  const link = entry.type === "symlink" || entry.type === "hardlink" ? (entry.linkTarget ?? EMPTY) : EMPTY;
  if (needsRecord(link)) record("linkpath", link);

  const uname = Buffer.from(entry.uname ?? "", "utf8");
  const gname = Buffer.from(entry.gname ?? "", "utf8");
  if (ownerNeedsRecord(uname)) record("uname", uname);
  if (ownerNeedsRecord(gname)) record("gname", gname);

  const size = bodyLength(entry) + map.length;
  if (size > octalLimit(12)) records.push(paxRecord("size", String(size)));
  if (entry.uid > octalLimit(8)) records.push(paxRecord("uid", String(entry.uid)));
  if (entry.gid > octalLimit(8)) records.push(paxRecord("gid", String(entry.gid)));

  const seconds = Number(entry.mtimeNs / BILLION);
  const plainTime = entry.mtimeNs >= 0n && seconds <= octalLimit(12) && entry.mtimeNs % BILLION === 0n;
  if (!plainTime) records.push(paxRecord("mtime", formatSeconds(entry.mtimeNs)));
  if (binary) records.unshift(paxRecord("hdrcharset", "BINARY"));

  const header = ustar({
    name,
    flag: TYPE_FLAG[entry.type],
    link,
    mode: entry.mode & 0o7777,
    uid: entry.uid,
    gid: entry.gid,
    uname: ownerNeedsRecord(uname) ? EMPTY : uname,
    gname: ownerNeedsRecord(gname) ? EMPTY : gname,
    size,
    seconds,
  });
  if (records.length === 0) return header;

  const data = Buffer.concat(records);
  const nothing = { link: EMPTY, mode: 0o644, uid: 0, gid: 0, uname: EMPTY, gname: EMPTY, seconds: 0 };
  const extended = ustar({ ...nothing, name: paxName(path), flag: "x", size: data.length });
  return Buffer.concat([extended, data, tarPadding(data.length), header, map]);
}

/** True where the 100 bytes of ustar do not hold the bytes, or would not say that they are UTF-8. */
function needsRecord(bytes: Buffer): boolean {
  return bytes.length > 100 || (!isAscii(bytes) && isUtf8(bytes));
}

function ownerNeedsRecord(name: Buffer): boolean {
  return name.length > 31 || !isAscii(name);
}

/** The name under which a tar that does not know sparse files unpacks the condensed one, as GNU tar forms it. */
function condensedName(path: Buffer): Buffer {
  const slash = path.lastIndexOf(0x2f) + 1;
  return Buffer.concat([path.subarray(0, slash), Buffer.from("GNUSparseFile.0/"), path.subarray(slash)]);
}

function paxName(path: Buffer): Buffer {
  const trimmed = path.at(-1) === 0x2f ? path.subarray(0, -1) : path;
  return Buffer.concat([Buffer.from("PaxHeaders.0/"), trimmed.subarray(trimmed.lastIndexOf(0x2f) + 1)]);
}

interface Ustar {
  name: Buffer;
  flag: string;
  link: Buffer;
  mode: number;
  uid: number;
  gid: number;
  uname: Buffer;
  gname: Buffer;
  size: number;
  seconds: number;
}

/** One ustar header block. What does not fit a field is cut, or 0: a pax record then holds it. */
function ustar(fields: Ustar): Buffer {
  const block = Buffer.alloc(BLOCK);
  fields.name.copy(block, 0, 0, 100);
  writeOctal(block, 100, 8, fields.mode);
  writeOctal(block, 108, 8, fit(fields.uid, 8));
  writeOctal(block, 116, 8, fit(fields.gid, 8));
  writeOctal(block, 124, 12, fit(fields.size, 12));
  writeOctal(block, 136, 12, fit(fields.seconds, 12));
  block.write("        ", 148, "latin1");
  block.write(fields.flag, 156, "latin1");
  fields.link.copy(block, 157, 0, 100);
  block.write("ustar\u000000", 257, "latin1");
  fields.uname.copy(block, 265, 0, 31);
  fields.gname.copy(block, 297, 0, 31);
  writeOctal(block, 329, 8, 0);
  writeOctal(block, 337, 8, 0);
  block.write(`${checksum(block).toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return block;
}

function fit(value: number, width: number): number {
  return value < 0 || value > octalLimit(width) ? 0 : value;
}

/** The sum of a header's bytes, its checksum field counted as spaces. */
export function checksum(block: Buffer): number {
  let sum = 8 * 0x20;
  for (let i = 0; i < 148; i += 1) sum += block[i] ?? 0;
  for (let i = 156; i < BLOCK; i += 1) sum += block[i] ?? 0;
  return sum;
}
