import { type DataRun, XVaultError } from "@xvault/kernel";
import type { Link } from "./link.ts";
import { collect, runRemote, throughXargs } from "./remote-process.ts";
import { kindOf } from "./sftp/packets.ts";
import { SftpError, type SftpSession } from "./sftp/session.ts";
import type { BrokenFile } from "./types.ts";

const MIB = 1024 * 1024;

export interface RereadFrom {
  link: Link;
  session: SftpSession | null;
  /** Whether the source has GNU find, and so tells change times and inodes. */
  find: boolean;
}

/**
 * Reads ranges of one file, to go on where a pull broke off. What is not there any more comes as zeros, as from tar and SFTP. Returns whether
 * the file was, before and after, still the one that was meant, by size and mtime and, where they are known, ctime and inode.
 *
 * @throws CONNECTION_LOST, CANCELLED
 */
export async function* reread(
  from: RereadFrom,
  file: BrokenFile,
  ranges: readonly DataRun[],
  signal?: AbortSignal,
): AsyncGenerator<Buffer, boolean, undefined> {
  const absolute = Buffer.concat([Buffer.from("/"), file.path]);
  const before = await isSame(from, absolute, file, signal);
  for (const range of ranges) {
    let left = range.length;
    const pieces = from.session
      ? readBySftp(from.session, absolute, range)
      : readByShell(from.link, absolute, range, signal);
    for await (const piece of pieces) {
      if (signal?.aborted) throw new XVaultError("CANCELLED");
      const taken = piece.length > left ? piece.subarray(0, left) : piece;
      left -= taken.length;
      if (taken.length > 0) yield taken;
    }
    for (; left > 0; left -= Math.min(left, MIB)) yield Buffer.alloc(Math.min(left, MIB));
  }
  return before && (await isSame(from, absolute, file, signal));
}

const LOOK = 'exec find -P "$1" -maxdepth 0 -printf "%y %s %T@ %C@ %i"';

async function isSame(from: RereadFrom, path: Buffer, file: BrokenFile, signal?: AbortSignal): Promise<boolean> {
  if (!from.find) return from.session !== null && isSameBySftp(from.session, path, file);
  const process = await runRemote(from.link, throughXargs(LOOK), {
    does: "looks at a file that broke off (find)",
    limitMs: ({ answer }) => answer,
    last: () => path,
    signal,
  });
  await process.write(Buffer.concat([path, Buffer.from([0])]));
  process.endInput();
  const [kind, size, mtime, ctime, inode] = (await collect(process, 1024)).toString("latin1").split(" ");
  if (kind !== "f" || size !== String(file.size)) return false;
  // Over SFTP the mtime was told in whole seconds.
  const whole = file.mtimeNs % 1_000_000_000n === 0n && file.ctimeNs === undefined;
  if (nanoseconds(whole ? (mtime ?? "").replace(/\..*/, "") : mtime) !== file.mtimeNs) return false;
  if (file.ctimeNs !== undefined && nanoseconds(ctime) !== file.ctimeNs) return false;
  return file.inode === undefined || inode === String(file.inode);
}

async function isSameBySftp(session: SftpSession, path: Buffer, file: BrokenFile): Promise<boolean> {
  try {
    const attrs = await session.lstat(path);
    const mtime = BigInt(attrs.mtime ?? 0);
    return kindOf(attrs) === "file" && attrs.size === file.size && mtime === file.mtimeNs / 1_000_000_000n;
  } catch (error) {
    if (error instanceof SftpError) return false;
    throw error;
  }
}

/** '1577836800.1234567890' (find prints ten digits) as nanoseconds. */
export function nanoseconds(text = "0"): bigint {
  const [seconds = "0", fraction = ""] = text.split(".");
  return BigInt(seconds) * 1_000_000_000n + BigInt(fraction.slice(0, 9).padEnd(9, "0"));
}

/** A window of reads, in order. Ends early where the file does, or cannot be read. */
async function* readBySftp(
  session: SftpSession,
  path: Buffer,
  range: DataRun,
): AsyncGenerator<Buffer, void, undefined> {
  const handle = await orNull(session.open(path));
  if (!handle) return;
  const ahead: { length: number; data: Promise<Buffer | null> }[] = [];
  const most = (session.roundTripMs >= 10 ? 32 : 8) * MIB;
  let asked = 0;
  let waiting = 0;
  const end = range.offset + range.length;
  try {
    for (let at = range.offset; at < end;) {
      while (range.offset + asked < end && waiting < most) {
        const length = Math.min(session.readSize, range.length - asked);
        const data = orNull(readFully(session, handle, range.offset + asked, length));
        data.catch(() => {}); // thrown when it is its turn
        ahead.push({ length, data });
        asked += length;
        waiting += length;
      }
      const next = ahead.shift();
      const piece = await next?.data;
      if (!next || !piece) return;
      waiting -= next.length;
      yield piece;
      if (piece.length < next.length) return;
      at += piece.length;
    }
  } finally {
    session.closeHandle(handle).catch(() => {});
  }
}

async function readFully(session: SftpSession, handle: Buffer, offset: number, length: number): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let got = 0;
  while (got < length) {
    const bytes = await session.read(handle, offset + got, length - got);
    if (!bytes || bytes.length === 0) break;
    pieces.push(bytes);
    got += bytes.length;
  }
  return pieces.length === 1 && pieces[0] ? pieces[0] : Buffer.concat(pieces);
}

/** Null where the server refuses. */
async function orNull<T>(answer: Promise<T>): Promise<T | null> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof SftpError) return null;
    throw error;
  }
}

// A FIFO that took the file's place must not be waited for.
const READ = 'test -f "$3" && tail -c "+$1" -- "$3" | head -c "$2"';

async function* readByShell(
  link: Link,
  path: Buffer,
  range: DataRun,
  signal?: AbortSignal,
): AsyncGenerator<Buffer, void, undefined> {
  const process = await runRemote(link, throughXargs(READ), {
    does: "reads a file on (tail)",
    limitMs: ({ read }) => read,
    last: () => path,
    signal,
  });
  try {
    await process.write(Buffer.concat([Buffer.from(`${range.offset + 1}\0${range.length}\0`), path, Buffer.from([0])]));
    process.endInput();
    yield* process.stdout;
  } finally {
    process.abort();
  }
}
