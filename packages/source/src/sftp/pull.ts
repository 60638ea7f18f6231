import { XVaultError, type FileEntry, formatBytes } from "@xvault/kernel";
import { AsyncQueue, Budget } from "../async-queue.ts";
import { problem } from "../diagnostics.ts";
import type { PullHooks } from "../tar-transport.ts";
import type { PulledEntry, PullOptions, PullPlan } from "../types.ts";
import { type Attrs, kindOf } from "./packets.ts";
import { SftpError, type SftpSession, problemOf } from "./session.ts";
import { type WalkItem, ownership, resolveRootsBySftp, walk } from "./walk.ts";

const MIB = 1024 * 1024;
/** A small file that changed between listing and reading is read anew if it is not larger than this. */
const REREAD_UP_TO = 4 * MIB;

/**
 * Pulls over SFTP alone: a window of requests over many files. Files are opened and read ahead in the order in which they are handed
 * on; room in the window is granted in that order too, so the file at the head always has its share and nothing can deadlock.
 *
 * What SFTP version 3 cannot tell: hard links (each name is stored as a file of its own), holes, fractions of seconds, owners' names.
 */
export async function* pullBySftp(
  session: SftpSession,
  plan: PullPlan,
  options: Omit<PullOptions, "parseTar" | "onProblem"> & PullHooks,
): AsyncGenerator<PulledEntry, void, undefined> {
  const far = session.roundTripMs >= 10;
  const budget = new Budget((far ? 32 : 8) * MIB);
  const slots = new Budget(far ? 1024 : 256);
  const ready = new AsyncQueue<WalkItem | Fetch>(4096);
  const stop = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, stop.signal]) : stop.signal;

  let noted = 0;
  const reading = (async () => {
    const selection = await resolveRootsBySftp(session, plan);
    options.onListing?.("begun");
    for await (const item of walk(session, selection, plan.oneFileSystem, { ...options, signal, readLinks: true })) {
      if (options.select && !(await unlessAborted(options.select(item), signal))) continue;
      if (item.type !== "file" || item.size === 0) {
        await ready.push(item);
        continue;
      }
      if (item.size >= HUGE && noted++ < MOST_NOTES) options.onNote(hugeNote(item));
      const slot = slots.take(1);
      if (slot) options.onListing?.("waiting");
      await slot;
      const fetch = new Fetch(session, item, budget, options, signal);
      const room = ready.push(fetch);
      await fetch.request();
      await room;
    }
    options.onListing?.("ended");
    ready.end();
  })().catch((error: unknown) => ready.fail(error));

  let late: Promise<unknown> = Promise.resolve();
  try {
    for await (const next of ready) {
      if (!(next instanceof Fetch)) {
        yield { entry: toEntry(next, next.attrs, next.size), body: next.type === "file" ? nothing() : null };
        continue;
      }
      const entry = await next.begin();
      if (entry) yield { entry, body: next.body() };
      const { settled } = await next.finish();
      late = late.then(() => settled);
      slots.give(1);
      if (options.signal?.aborted) throw new XVaultError("CANCELLED");
    }
    await late;
  } finally {
    stop.abort();
    ready.end();
    // Lets a reader that waits for room go on and see that it is over.
    budget.give(Number.MAX_SAFE_INTEGER);
    slots.give(Number.MAX_SAFE_INTEGER);
    await reading;
  }
}

/** What a choice comes to, or a no as soon as the pull is over: whoever it waits for may be gone then. */
function unlessAborted(answer: boolean | Promise<boolean>, signal: AbortSignal): boolean | Promise<boolean> {
  if (typeof answer === "boolean") return answer;
  return new Promise((resolve, reject) => {
    const stop = () => resolve(false);
    signal.addEventListener("abort", stop, { once: true });
    if (signal.aborted) stop();
    void answer.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}

/** SFTP tells no holes: whoever has a disk image of 100 GB with little in it should know what is going on. */
const HUGE = 8 * 1024 * MIB;
const MOST_NOTES = 20;

function hugeNote({ absolute, size }: WalkItem): string {
  const path = absolute.toString();
  return `${path} has ${formatBytes(size)}: over SFTP holes are read as zeros. Remote tar leaves them out; max_file_bytes leaves out the file.`;
}

async function* nothing(): AsyncGenerator<Buffer, void, undefined> {}

function toEntry(item: WalkItem, attrs: Attrs, size: number): FileEntry {
  return {
    path: item.path,
    type: item.type,
    size,
    ...ownership(attrs),
    ...(item.linkTarget ? { linkTarget: item.linkTarget } : {}),
  };
}

interface Piece {
  /** What was asked for, and taken from the window. */
  length: number;
  data: Promise<Buffer>;
}

interface Opened {
  handle: Buffer;
  /** What the open file itself is, where it was asked. */
  attrs: Attrs;
}

/** One file on its way. */
class Fetch {
  readonly #session: SftpSession;
  readonly #item: WalkItem;
  readonly #budget: Budget;
  readonly #hooks: Pick<PullOptions, "onUncompared"> & PullHooks;
  readonly #pieces = new AsyncQueue<Piece>();
  readonly #signal: AbortSignal;
  readonly #opened: Promise<Opened>;
  readonly #whole: boolean;
  #size: number;
  #first: Buffer | null = null;
  #dead = false;
  #consumed = 0;

  constructor(
    session: SftpSession,
    item: WalkItem,
    budget: Budget,
    hooks: Pick<PullOptions, "onUncompared"> & PullHooks,
    signal: AbortSignal,
  ) {
    this.#signal = signal;
    this.#session = session;
    this.#item = item;
    this.#budget = budget;
    this.#hooks = hooks;
    this.#size = item.size;
    this.#whole = item.size < session.readSize;
    this.#opened = this.#open();
    this.#opened.catch(() => {}); // reported when the file is at the head
  }

  async #open(): Promise<Opened> {
    const handle = await this.#session.open(this.#item.absolute);
    // A file that takes many reads may have been replaced since it was listed; a small one is checked by its one read.
    return { handle, attrs: this.#whole ? this.#item.attrs : await this.#session.fstat(handle) };
  }

  /** Asks for the content as the window allows; resolves when all of it has been asked for. */
  async request(): Promise<void> {
    const step = this.#session.readSize;
    if (this.#whole) {
      // One byte more than the file had tells whether it grew.
      await this.#ask(this.#size + 1, () => this.#readWhole());
    } else {
      for (let offset = 0; offset < this.#size && !this.#dead && !this.#signal.aborted; offset += step) {
        const length = Math.min(step, this.#size - offset);
        const at = offset;
        await this.#ask(length, () => this.#readFully(at, length));
      }
    }
    this.#pieces.end();
  }

  async #ask(length: number, read: () => Promise<Buffer>): Promise<void> {
    await this.#budget.take(length);
    const data = read();
    data.catch(() => {}); // reported when the piece is consumed
    void this.#pieces.push({ length, data }); // without a limit: the window is the limit
  }

  /** The entry, once it is known that the file opens and how long it is; null after a problem was told. */
  async begin(): Promise<FileEntry | null> {
    const path = this.#item.absolute;
    try {
      const { attrs } = await this.#opened;
      if (kindOf(attrs) !== "file" && kindOf(attrs) !== "unknown") {
        throw new SftpError(4, "it is no regular file any more");
      }
      if (!this.#whole) {
        if ((attrs.size ?? 0) < this.#size) this.#size = attrs.size ?? 0;
        else if ((attrs.size ?? 0) > this.#size) this.#hooks.onProblem(problem(path, "changed", "it grew"));
        return toEntry(this.#item, attrs, this.#size);
      }
      const piece = await this.#pieces.shift();
      try {
        this.#first = (await piece?.data) ?? null;
      } finally {
        this.#budget.give(piece?.length ?? 0);
      }
      this.#size = this.#first?.length ?? 0;
      return toEntry(this.#item, attrs, this.#size);
    } catch (error) {
      this.#dead = true;
      this.#hooks.onProblem(problemOf(path, error));
      return null;
    }
  }

  async *body(): AsyncGenerator<Buffer, void, undefined> {
    if (this.#whole) {
      if (this.#first && this.#first.length > 0) yield this.#first;
      return;
    }
    for (let piece = await this.#pieces.shift(); piece; piece = await this.#pieces.shift()) {
      const { length, data } = piece;
      let bytes: Buffer;
      try {
        bytes = await data;
      } catch (error) {
        const told = problemOf(this.#item.absolute, error);
        this.#hooks.onProblem(told);
        bytes = Buffer.alloc(0);
      } finally {
        this.#budget.give(length);
      }
      const due = Math.min(length, this.#size - this.#consumed);
      if (bytes.length < due) {
        this.#hooks.onProblem(problem(this.#item.absolute, "changed", "it shrank; the rest was filled with zeros"));
        bytes = Buffer.concat([bytes, Buffer.alloc(due - bytes.length)]);
      }
      this.#consumed += due;
      if (due > 0) yield bytes.length > due ? bytes.subarray(0, due) : bytes;
    }
  }

  /**
   * Gives everything back: room of pieces that nobody consumed, and the open file. What it resolves with ends when nothing more can be
   * told of the file.
   */
  async finish(): Promise<{ settled: Promise<void> }> {
    this.#dead = true;
    for (let piece = await this.#pieces.shift(); piece; piece = await this.#pieces.shift()) {
      await piece.data.catch(() => {});
      this.#budget.give(piece.length);
    }
    const opened = await this.#opened.catch(() => null);
    if (!opened) return { settled: Promise.resolve() };
    const settled = !this.#whole && this.#consumed > 0 ? this.#compareAtEnd(opened) : Promise.resolve();
    this.#session.closeHandle(opened.handle).catch(() => {});
    return { settled };
  }

  /** A file that changed while its many reads were under way is told of. */
  async #compareAtEnd({ handle, attrs }: Opened): Promise<void> {
    const { path, absolute } = this.#item;
    const now = await this.#session.fstat(handle).catch(() => (this.#session.failure ? null : attrs));
    if (now?.mtime === attrs.mtime && now?.size === attrs.size) return;
    if (now || !this.#hooks.onUncompared) {
      const why = now ? undefined : "the link broke before that was compared";
      this.#hooks.onProblem(problem(absolute, "changed", why));
    } else this.#hooks.onUncompared({ path, size: attrs.size ?? 0, mtimeNs: ownership(attrs).mtimeNs });
  }

  async #readWhole(): Promise<Buffer> {
    const { handle } = await this.#opened;
    const expected = this.#size;
    const first = await this.#session.read(handle, 0, expected + 1);
    if (first?.length === expected) return first;
    const now = (await this.#session.fstat(handle)).size ?? 0;
    if (now > REREAD_UP_TO) {
      this.#hooks.onProblem(problem(this.#item.absolute, "changed", "it grew"));
      return (first ?? Buffer.alloc(0)).subarray(0, expected);
    }
    return this.#readFully(0, now);
  }

  /** Reads on until `length` bytes are there or the file ends: servers may give less than was asked for. */
  async #readFully(offset: number, length: number): Promise<Buffer> {
    const { handle } = await this.#opened;
    const pieces: Buffer[] = [];
    let got = 0;
    while (got < length) {
      const bytes = await this.#session.read(handle, offset + got, length - got);
      if (!bytes || bytes.length === 0) break;
      pieces.push(bytes);
      got += bytes.length;
      if (got < length && bytes.length >= 4096) {
        this.#session.readSize = Math.max(32 * 1024, Math.min(this.#session.readSize, bytes.length));
      }
    }
    return pieces.length === 1 && pieces[0] ? pieces[0] : Buffer.concat(pieces);
  }
}
