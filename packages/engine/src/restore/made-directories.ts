import { closeSync, constants, fstatSync, openSync, readSync, type Stats, unlinkSync, writeSync } from "node:fs";

/** In the root of the target. */
const NAME = Buffer.from(".xvault-restore-made");
const HEAD = "xvault restore 1";
/** So much of what earlier attempts noted is read. Bytes. */
const MAX_BYTES = 64 * 1024 * 1024;

const NO_FOLLOW = constants.O_NOFOLLOW ?? 0;
const READ = constants.O_RDONLY | NO_FOLLOW | (constants.O_NONBLOCK ?? 0);
const APPEND = constants.O_WRONLY | constants.O_APPEND | NO_FOLLOW;
const CREATE = APPEND | constants.O_CREAT | constants.O_EXCL;

/**
 * Which directories a restore to this machine has made, in a small file in the root of the target until the restore is over. Whoever goes on
 * from an attempt that was killed so knows them from directories that were somebody's before. Each is noted before it is made. Nothing here
 * ever fails a restore: what cannot be noted, and lines that are torn or strange, count as somebody else's directories.
 */
export class MadeDirectories {
  readonly #path: Buffer;
  /** Of attempts before this one, in latin1. */
  readonly #made: Set<string>;
  #state: "usable" | "unusable" | "over";
  /** Whether the file is there and ours. */
  #exists: boolean;
  #file: number | null = null;

  /** `root` is absolute and ends with '/'. */
  constructor(root: Buffer) {
    this.#path = Buffer.concat([root, NAME]);
    const text = readOwn(this.#path);
    this.#state = text === null ? "unusable" : "usable";
    this.#exists = text !== null && text !== "none";
    this.#made = new Set();
    for (const [, path = ""] of (text ?? "").matchAll(/^made (\S*) ;$/gm)) {
      this.#made.add(Buffer.from(path, "base64").toString("latin1"));
    }
  }

  /** True for a path below the root that an attempt before this one made, as far as it is known. */
  has(path: Buffer): boolean {
    return this.#made.has(path.toString("latin1"));
  }

  /** True for the path of this file itself. */
  isAt(path: Buffer): boolean {
    return path.equals(NAME);
  }

  /** Notes a directory that is about to be made. */
  note(path: Buffer): void {
    if (this.#state !== "usable" || this.has(path)) return;
    try {
      if (this.#file === null) {
        const isNew = !this.#exists;
        this.#file = openSync(this.#path, isNew ? CREATE : APPEND, 0o600);
        this.#exists = true;
        if (isNew) writeSync(this.#file, HEAD);
      }
      // Each line begins with an end of line, for a line before it that may be torn.
      writeSync(this.#file, `\nmade ${path.toString("base64")} ;`);
    } catch {
      this.#state = "unusable";
    }
  }

  /** Lets the file be, for another attempt. */
  close(): void {
    if (this.#file !== null) closeSync(this.#file);
    this.#file = null;
    this.#state = "over";
  }

  /** Removes the file: nobody needs it any more. */
  remove(): void {
    this.close();
    if (!this.#exists) return;
    try {
      unlinkSync(this.#path);
    } catch {
      // It is one small file that stays.
    }
    this.#exists = false;
  }
}

/** What the file says; 'none' where there is none, null where something stands there that is not a file of ours. */
function readOwn(path: Buffer): string | null {
  let file: number;
  try {
    file = openSync(path, READ);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT" ? "none" : null;
  }
  try {
    const found = fstatSync(file);
    if (!isOwn(found)) return null;
    const bytes = Buffer.alloc(Math.min(found.size, MAX_BYTES));
    const text = bytes.toString("latin1", 0, readSync(file, bytes));
    // It may have been killed within its first words, too.
    return text.startsWith(HEAD) || HEAD.startsWith(text) ? text : null;
  } catch {
    return null;
  } finally {
    closeSync(file);
  }
}

/** A plain file that nobody but this user can have written, under this one name. */
function isOwn(found: Stats): boolean {
  const user = process.geteuid?.();
  return (
    found.isFile() && found.nlink === 1 && (user === undefined || (found.uid === user && (found.mode & 0o022) === 0))
  );
}
