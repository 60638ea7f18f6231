import { constants } from "node:fs";
import { lstat, mkdir, open, readdir, rename, rm, statfs, unlink } from "node:fs/promises";

/** A file that is being written. */
export interface WritableFile {
  /** Appends all of the parts; rejects when it could not. */
  append(parts: Buffer[]): Promise<void>;
  /** Waits until the disk has the bytes. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

export interface FileStat {
  kind: "file" | "directory" | "other";
  sizeBytes: number;
  modifiedMs: number;
}

/** The file system as the local store sees it: the seam at which tests make it fail and watch the order of calls. */
export interface FileOps {
  /** Makes a directory and its parents, mode 0700. Gives the topmost one that it made, or undefined. */
  makeDirectory(path: string): Promise<string | undefined>;
  /** Makes a file that must not exist yet, mode 0600. */
  createFile(path: string): Promise<WritableFile>;
  /** Reads up to `length` bytes; fewer at the end of the file. Follows no symbolic link. */
  readFile(path: string, offset: number, length: number): Promise<Buffer>;
  /** What lies there, or null when nothing does. Follows no symbolic link. */
  stat(path: string): Promise<FileStat | null>;
  /** Names and kinds in a directory; an empty list when it is not there. */
  readDirectory(path: string): Promise<{ name: string; kind: FileStat["kind"] }[]>;
  rename(from: string, to: string): Promise<void>;
  /** Removes a file. One that is not there is no error. */
  removeFile(path: string): Promise<void>;
  /** Removes a directory and everything in it. One that is not there is no error. */
  removeDirectory(path: string): Promise<void>;
  /** Waits until the disk has a directory's entries. */
  syncDirectory(path: string): Promise<void>;
  /** Bytes that an ordinary user may still write to the file system of `path`. */
  freeBytes(path: string): Promise<number>;
}

const ABSENT = new Set(["ENOENT", "ENOTDIR"]);

function isAbsent(error: unknown): boolean {
  return error instanceof Error && "code" in error && ABSENT.has(String(error.code));
}

function kindOf(entry: { isFile(): boolean; isDirectory(): boolean }): FileStat["kind"] {
  if (entry.isFile()) return "file";
  return entry.isDirectory() ? "directory" : "other";
}

async function unlessAbsent<T>(run: Promise<T>, otherwise: T): Promise<T> {
  try {
    return await run;
  } catch (error) {
    if (isAbsent(error)) return otherwise;
    throw error;
  }
}

async function createFile(path: string): Promise<WritableFile> {
  const file = await open(path, "wx", 0o600);
  return {
    async append(parts) {
      let rest = parts;
      while (rest.length > 0) {
        const { bytesWritten } = await file.writev(rest);
        rest = after(rest, bytesWritten);
      }
    },
    sync: () => file.sync(),
    close: () => file.close(),
  };
}

/** What is left of `parts` when `written` bytes of them are gone: a nearly full disk takes a part of a write. */
function after(parts: Buffer[], written: number): Buffer[] {
  let skip = written;
  let at = 0;
  while (at < parts.length && skip >= (parts[at]?.length ?? 0)) {
    skip -= parts[at]?.length ?? 0;
    at += 1;
  }
  const rest = parts.slice(at);
  if (skip > 0 && rest[0]) rest[0] = rest[0].subarray(skip);
  return rest;
}

async function readFile(path: string, offset: number, length: number): Promise<Buffer> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    const buffer = Buffer.allocUnsafeSlow(length);
    let filled = 0;
    while (filled < length) {
      const { bytesRead } = await file.read(buffer, filled, length - filled, offset + filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return buffer.subarray(0, filled);
  } finally {
    await file.close();
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await directory.sync();
  } catch (error) {
    // Some network file systems cannot sync a directory (they keep none of it back): EINVAL says so, any other failure counts.
    if (!(error instanceof Error && "code" in error && error.code === "EINVAL")) throw error;
  } finally {
    await directory.close();
  }
}

/** The real file system. */
export const nodeFileOps: FileOps = {
  makeDirectory: (path) => mkdir(path, { recursive: true, mode: 0o700 }),
  createFile,
  readFile,
  syncDirectory,
  rename,
  async stat(path) {
    const found = await unlessAbsent(lstat(path), null);
    return found && { kind: kindOf(found), sizeBytes: found.size, modifiedMs: found.mtimeMs };
  },
  async readDirectory(path) {
    const entries = await unlessAbsent(readdir(path, { withFileTypes: true }), []);
    return entries.map((entry) => ({ name: entry.name, kind: kindOf(entry) }));
  },
  removeFile: (path) => unlessAbsent(unlink(path), undefined),
  removeDirectory: (path) => rm(path, { recursive: true, force: true }),
  async freeBytes(path) {
    const { bavail, bsize } = await statfs(path);
    return bavail * bsize;
  },
};
