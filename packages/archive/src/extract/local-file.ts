import { createHash } from "node:crypto";
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  futimesSync,
  openSync,
  readSync,
  writeSync,
  type BigIntStats,
} from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { bodyLength, XVaultError, type FileEntry } from "@xvault/kernel";
import { RunWalk } from "../content.ts";
import { showPath, throwIfAborted } from "../failures.ts";
import { formatSeconds } from "../seconds.ts";

const NEW_FILE = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | (constants.O_NOFOLLOW ?? 0);
const SET_UID = 0o4000;
const SET_GID = 0o2000;

/**
 * Bodies up to this are collected and written by synchronous calls, some 60 µs in all; through the thread pool the same eight
 * calls take six times as long, which is what restoring many small files would then cost. Bytes.
 */
const SMALL = 256 * 1024;

/** Node sets times as floating-point seconds, exact to some 0.2 µs: times closer than this count as the same. Nanoseconds. */
const SAME_TIME = 1000n;

/** A time for utimes and its like. A string, because Node takes a negative number for "now". */
export function timeOf(mtimeNs: bigint): string {
  return formatSeconds(mtimeNs);
}

/**
 * The mode to set. Where the owner is not restored, set-uid and set-gid of a file would hand out the rights of whoever restores it:
 * they are kept only where the entry's owner is that user already.
 */
export function modeFor(entry: FileEntry, owner: boolean): number {
  let mode = entry.mode & 0o7777;
  if (owner || entry.type !== "file") return mode;
  if (entry.uid !== process.getuid?.()) mode &= ~SET_UID;
  if (entry.gid !== process.getgid?.()) mode &= ~SET_GID;
  return mode;
}

/** True when size and time say that the file that is there is the one in the snapshot. */
export function looksSame(entry: FileEntry, found: BigIntStats): boolean {
  if (entry.type !== "file" || !found.isFile() || found.size !== BigInt(entry.size)) return false;
  const apart = entry.mtimeNs - found.mtimeNs;
  return apart > -SAME_TIME && apart < SAME_TIME;
}

/** True when the snapshot's is newer than what is there. */
export function isNewer(entry: FileEntry, found: BigIntStats): boolean {
  return entry.mtimeNs - found.mtimeNs >= SAME_TIME;
}

export interface FileOptions {
  owner: boolean;
  signal: AbortSignal | undefined;
  /** Of the logical content, hex: what was written is read again and compared. */
  sha256?: string | undefined;
}

/** Writes a new file at `temporary`, with holes where the entry has them, and sets everything but its name. */
export async function writeFile(
  temporary: Buffer,
  entry: FileEntry,
  body: AsyncIterable<Buffer> | null,
  options: FileOptions,
): Promise<void> {
  const exact = exactly(entry, body, options.signal);
  if (entry.size <= SMALL && !entry.sparse) {
    const chunks: Buffer[] = [];
    for await (const chunk of exact) chunks.push(chunk);
    writeSmall(temporary, entry, chunks, options);
    return;
  }
  const file = await open(temporary, NEW_FILE, 0o600);
  try {
    await writeContent(file, entry, exact);
    if (options.sha256 !== undefined) checkHash(entry, await sha256Of(file), options.sha256);
    if (options.owner) await file.chown(entry.uid, entry.gid);
    await file.chmod(modeFor(entry, options.owner)); // after chown, which clears set-id bits
    await file.utimes(Date.now() / 1000, timeOf(entry.mtimeNs));
  } finally {
    await file.close();
  }
}

function writeSmall(temporary: Buffer, entry: FileEntry, chunks: readonly Buffer[], options: FileOptions): void {
  const { owner, sha256 } = options;
  const file = openSync(temporary, NEW_FILE, 0o600);
  try {
    for (const chunk of chunks) {
      for (let at = 0; at < chunk.length;) at += writeSync(file, chunk, at, chunk.length - at);
    }
    if (sha256 !== undefined) {
      const back = Buffer.allocUnsafe(entry.size);
      const length = entry.size === 0 ? 0 : readSync(file, back, 0, back.length, 0);
      checkHash(entry, createHash("sha256").update(back.subarray(0, length)).digest("hex"), sha256);
    }
    if (owner) fchownSync(file, entry.uid, entry.gid);
    fchmodSync(file, modeFor(entry, owner));
    futimesSync(file, Date.now() / 1000, timeOf(entry.mtimeNs));
  } finally {
    closeSync(file);
  }
}

/** Through the handle that wrote it: the mode that it gets may forbid reading. */
async function sha256Of(file: FileHandle): Promise<string> {
  const hash = createHash("sha256");
  const piece = Buffer.allocUnsafe(1024 * 1024);
  for (let at = 0; ;) {
    const { bytesRead } = await file.read(piece, 0, piece.length, at);
    if (bytesRead === 0) return hash.digest("hex");
    hash.update(piece.subarray(0, bytesRead));
    at += bytesRead;
  }
}

function checkHash(entry: FileEntry, found: string, expected: string): void {
  if (found === expected) return;
  const path = showPath(entry.path);
  throw new XVaultError("STORAGE_FAILED", `The disk gives back other bytes of '${path}' than it was given.`, {
    fix: "Check the target's disk.",
    retry: false,
    data: { path },
  });
}

/** The body, which must have the bytes announced, no fewer and no more. */
async function* exactly(
  entry: FileEntry,
  body: AsyncIterable<Buffer> | null,
  signal: AbortSignal | undefined,
): AsyncGenerator<Buffer, void, undefined> {
  const length = bodyLength(entry);
  let received = 0;
  for await (const chunk of body ?? []) {
    throwIfAborted(signal);
    received += chunk.length;
    if (received > length) break;
    yield chunk;
  }
  if (received !== length) {
    throw new XVaultError("ARCHIVE_TRUNCATED", `'${showPath(entry.path)}' did not have the ${length} bytes announced.`);
  }
}

async function writeContent(file: FileHandle, entry: FileEntry, body: AsyncIterable<Buffer>): Promise<void> {
  const walk = new RunWalk(entry);
  for await (const chunk of body) {
    for (const piece of walk.pieces(chunk)) await writeAll(file, piece.data, piece.offset);
  }
  if (walk.rest() > 0) await file.truncate(entry.size);
}

async function writeAll(file: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    const { bytesWritten } = await file.write(bytes, at, bytes.length - at, position + at);
    at += bytesWritten;
  }
}
