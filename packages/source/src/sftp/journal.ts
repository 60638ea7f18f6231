import { kindOf, OPEN } from "./packets.ts";
import { SftpError, type SftpSession, isMissing } from "./session.ts";

/** What an earlier attempt left in it is read up to this size. Bytes. */
const MAX_BYTES = 16 * 1024 * 1024;
/** A mark is written after so many entries. What lies behind the last mark is looked at anew, by the policy. */
const MARK_EVERY = 128;

/**
 * What one restore has done so far, in a small file at the root of its target, so that another attempt at the same restore goes on instead of
 * beginning anew: which directories it made (whatever lies in them is its own work) and how many entries are done. Lines that are torn
 * or strange are passed over: what is not known to be done is done again.
 */
export class RestoreJournal {
  /** Entries that attempts before this one had done, counted in the order in which they come. */
  readonly done: number;
  readonly #made: Set<string>;
  readonly #session: SftpSession;
  readonly #path: Buffer;
  readonly #handle: Buffer;
  #end: number;
  #marked = 0;
  #writing: Promise<unknown> = Promise.resolve();

  /** Null where the root takes no file: then every attempt is a first one. `id`: letters, digits and '-'. */
  static async open(session: SftpSession, root: Buffer, id: string): Promise<RestoreJournal | null> {
    const path = Buffer.concat([root, Buffer.from(root.length === 1 ? "" : "/"), Buffer.from(`.xvault-restore-${id}`)]);
    try {
      const existing = await session.lstat(path).catch(ignoreMissing);
      if (existing && kindOf(existing) !== "file") return null;
      const text = existing ? await readAll(session, path) : "";
      const handle = await session.open(path, OPEN.WRITE | OPEN.CREAT, { mode: 0o600 });
      return new RestoreJournal(session, path, handle, text);
    } catch (error) {
      if (error instanceof SftpError) return null;
      throw error;
    }
  }

  private constructor(session: SftpSession, path: Buffer, handle: Buffer, text: string) {
    this.#session = session;
    this.#path = path;
    this.#handle = handle;
    this.#end = Buffer.byteLength(text);
    this.#made = new Set();
    let done = 0;
    for (const line of text.split("\n")) {
      const [, word, value = ""] = /^(made|done) (\S*) ;$/.exec(line) ?? [];
      if (word === "made") this.#made.add(Buffer.from(value, "base64").toString("latin1"));
      if (word === "done" && /^\d{1,15}$/.test(value)) done = Math.max(done, Number(value));
    }
    this.done = done;
    this.#marked = done;
  }

  /** True for a directory that this restore made. `key`: its path below the root in latin1, '' for the root itself. */
  hasMade(key: string): boolean {
    return this.#made.has(key);
  }

  /** Notes a directory before it is made. Await it before making it. */
  noteMade(key: string): Promise<void> {
    return this.#write(`made ${Buffer.from(key, "latin1").toString("base64")}`);
  }

  /** Tells that the first `count` entries are done. */
  mark(count: number): void {
    if (count < this.#marked + MARK_EVERY) return;
    this.#marked = count;
    this.#writing = this.#write(`done ${count}`).catch(() => {});
  }

  /** Removes the file: the restore is over. Never throws. */
  async remove(): Promise<void> {
    await this.#writing;
    await this.#session.closeHandle(this.#handle).catch(() => {});
    await this.#session.remove(this.#path).catch(() => {});
  }

  /** Each line begins with an end of line, for a line before it that may be torn. */
  #write(line: string): Promise<void> {
    const bytes = Buffer.from(`\n${line} ;`);
    const at = this.#end;
    this.#end += bytes.length;
    return this.#session.write(this.#handle, at, bytes);
  }
}

async function readAll(session: SftpSession, path: Buffer): Promise<string> {
  const handle = await session.open(path);
  const pieces: Buffer[] = [];
  try {
    for (let at = 0; at < MAX_BYTES;) {
      const piece = await session.read(handle, at, session.readSize);
      if (!piece) break;
      pieces.push(Buffer.from(piece));
      at += piece.length;
    }
  } finally {
    await session.closeHandle(handle).catch(() => {});
  }
  return Buffer.concat(pieces).toString("latin1");
}

function ignoreMissing(error: unknown): null {
  if (isMissing(error)) return null;
  throw error;
}
