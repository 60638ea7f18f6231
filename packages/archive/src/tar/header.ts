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
const PAX_FOLDER = Buffer.from("PaxHeaders.0/");
const USTAR = Buffer.from("ustar\u000000");
const EMPTY = Buffer.alloc(0);
const BILLION = 1_000_000_000n;
/** What the fields of 8 and 12 bytes hold at most. */
const MAX_8 = octalLimit(8);
const MAX_12 = octalLimit(12);
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
 *
 * @param room memory to write it to, where it is large enough
 */
export function tarHeader(entry: FileEntry, room?: Buffer): Buffer {
  // Bytes as latin1 characters: one text costs less than a buffer for each record.
  let records = "";
  let binary = false;
  const record = (key: string, value: Buffer) => {
    records += paxRecord(key, value.toString("latin1"));
    binary ||= !isUtf8(value);
  };

  const path = entry.type === "dir" ? Buffer.concat([entry.path, SLASH]) : entry.path;
  const map = entry.type === "file" && entry.sparse ? encodeSparseMap(entry.sparse, entry.size) : EMPTY;
  let name = path;
  if (map.length > 0) {
    records += paxRecord("GNU.sparse.major", "1") + paxRecord("GNU.sparse.minor", "0");
    record("GNU.sparse.name", path);
    records += paxRecord("GNU.sparse.realsize", String(entry.size));
    name = condensedName(path);
  } else if (needsRecord(path)) record("path", path);

  const link = entry.type === "symlink" || entry.type === "hardlink" ? (entry.linkTarget ?? EMPTY) : EMPTY;
  if (needsRecord(link)) record("linkpath", link);

  const uname = ownerBytes(entry.uname);
  const gname = ownerBytes(entry.gname);
  if (ownerNeedsRecord(uname)) record("uname", uname);
  if (ownerNeedsRecord(gname)) record("gname", gname);

  const size = bodyLength(entry) + map.length;
  if (size > MAX_12) records += paxRecord("size", String(size));
  if (entry.uid > MAX_8) records += paxRecord("uid", String(entry.uid));
  if (entry.gid > MAX_8) records += paxRecord("gid", String(entry.gid));

  const seconds = Number(entry.mtimeNs / BILLION);
  const plainTime = entry.mtimeNs >= 0n && seconds <= MAX_12 && entry.mtimeNs % BILLION === 0n;
  if (!plainTime) records += paxRecord("mtime", formatSeconds(entry.mtimeNs));
  if (binary) records = paxRecord("hdrcharset", "BINARY") + records;

  const before = records === "" ? 0 : BLOCK + Math.ceil(records.length / BLOCK) * BLOCK;
  const length = before + BLOCK + map.length;
  const bytes = room && room.length >= length ? room.subarray(0, length) : Buffer.allocUnsafe(length);
  if (before > 0) {
    const nothing = { link: EMPTY, mode: 0o644, uid: 0, gid: 0, uname: EMPTY, gname: EMPTY, seconds: 0 };
    ustar(bytes, 0, { ...nothing, folder: PAX_FOLDER, name: lastPart(path), flag: "x", size: records.length });
    bytes.write(records, BLOCK, "latin1");
    bytes.fill(0, BLOCK + records.length, before);
  }
  ustar(bytes, before, {
    folder: EMPTY,
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
  map.copy(bytes, before + BLOCK);
  return bytes;
}

/** True where the 100 bytes of ustar do not hold the bytes, or would not say that they are UTF-8. */
function needsRecord(bytes: Buffer): boolean {
  return bytes.length > 100 || (!isAscii(bytes) && isUtf8(bytes));
}

/** A tree has few owners and many files. */
const owners = new Map<string, Buffer>();

function ownerBytes(name: string | undefined): Buffer {
  if (name === undefined) return EMPTY;
  let bytes = owners.get(name);
  if (!bytes) {
    if (owners.size >= 64) owners.clear();
    bytes = Buffer.from(name, "utf8");
    owners.set(name, bytes);
  }
  return bytes;
}

function ownerNeedsRecord(name: Buffer): boolean {
  return name.length > 31 || !isAscii(name);
}

/** The name under which a tar that does not know sparse files unpacks the condensed one, as GNU tar forms it. */
function condensedName(path: Buffer): Buffer {
  const slash = path.lastIndexOf(0x2f) + 1;
  return Buffer.concat([path.subarray(0, slash), Buffer.from("GNUSparseFile.0/"), path.subarray(slash)]);
}

function lastPart(path: Buffer): Buffer {
  const end = path.at(-1) === 0x2f ? path.length - 1 : path.length;
  return path.subarray(path.lastIndexOf(0x2f, end - 1) + 1, end);
}

interface Ustar {
  /** What stands in front of the name. */
  folder: Buffer;
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

/** Writes one ustar header block at `at`. What does not fit a field is cut, or 0: a pax record then holds it. */
function ustar(bytes: Buffer, at: number, fields: Ustar): void {
  const block = bytes.subarray(at, at + BLOCK).fill(0);
  const folder = fields.folder.copy(block);
  fields.name.copy(block, folder, 0, 100 - folder);
  writeOctal(block, 100, 8, fields.mode);
  writeOctal(block, 108, 8, fit(fields.uid, MAX_8));
  writeOctal(block, 116, 8, fit(fields.gid, MAX_8));
  writeOctal(block, 124, 12, fit(fields.size, MAX_12));
  writeOctal(block, 136, 12, fit(fields.seconds, MAX_12));
  block[156] = fields.flag.charCodeAt(0);
  fields.link.copy(block, 157, 0, 100);
  USTAR.copy(block, 257);
  fields.uname.copy(block, 265, 0, 31);
  fields.gname.copy(block, 297, 0, 31);
  writeOctal(block, 329, 8, 0);
  writeOctal(block, 337, 8, 0);
  // Six digits, a NUL (which is there already) and a space.
  writeOctal(block, 148, 7, checksum(block));
  block[155] = 0x20;
}

function fit(value: number, limit: number): number {
  return value < 0 || value > limit ? 0 : value;
}

/** The sum of a header's bytes, its checksum field counted as spaces. */
export function checksum(block: Buffer): number {
  let sum = 8 * 0x20;
  for (let i = 0; i < 148; i += 1) sum += block[i] ?? 0;
  for (let i = 156; i < BLOCK; i += 1) sum += block[i] ?? 0;
  return sum;
}
