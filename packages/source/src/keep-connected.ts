import { setTimeout as sleep } from "node:timers/promises";
import {
  bodyLength,
  type DataRun,
  type FileEntry,
  HeldBytes,
  isXVaultError,
  type PathProblem,
  type TreeTarget,
  XVaultError,
} from "@xvault/kernel";
import { Choices } from "./choices.ts";
import { problem } from "./diagnostics.ts";
import { PathSet } from "./path-set.ts";
import { isStall } from "./silence.ts";
import type {
  BrokenFile,
  Capabilities,
  Listing,
  Measure,
  PreflightCheck,
  PulledEntry,
  PullOptions,
  PullPlan,
  ScanItem,
  ScanOptions,
  SourceClock,
  SourceConnection,
  TargetOptions,
} from "./types.ts";

export interface KeepOptions {
  /** Told what happens to the link, in sentences for people. */
  onNote?: ((message: string) => void) | undefined;
  signal?: AbortSignal | undefined;
  /** How often in a row it is tried to connect again before anything more has arrived. Default 10, which takes some five minutes. */
  attempts?: number | undefined;
  /** The seam for waiting between two tries. */
  wait?: ((ms: number, signal: AbortSignal | undefined) => Promise<void>) | undefined;
}

/** So many times in all, so that a link which drops again and again does not list the source for ever. */
const MOST_RECONNECTIONS = 100;
const LONGEST_WAIT_MS = 60_000;
/**
 * So often in all it is gone on after a source that hung, whatever came in between: a network disk may be back by then, and where it is not, each
 * try leaves one more command hanging there.
 */
const MOST_STALLS = 2;
/** What is worth another try. Everything else (another host key, a refused login, a lost lease) ends the run. */
const PASSING = ["CONNECTION_LOST", "HOST_UNREACHABLE", "HOST_UNRESOLVED"] as const;
const REMEMBERED = 10_000;

/**
 * A connection that is opened again when its link drops. Scans, measures and pulls go on: what was delivered whole is not pulled again, and a
 * file that broke off is read on from where it stood while size, mtime, ctime and inode are what they were; else it is told of as 'changed',
 * like any file that changes while it is read. Everything else (browsing, restoring) fails as it does on a plain connection.
 *
 * A pull goes on in the same way, but twice in all, where the link holds and the source hangs; then it fails for good (`retry` is false). A scan
 * or a measure that hangs fails at once: it may run beside a pull that does not.
 *
 * A pull costs eight bytes of memory for each path that it has seen, 12 to 24 once its link has dropped. Names of one file that lie on both sides of a drop become files of
 * their own.
 *
 * @param connect opens the source, with the same host-key check and the credentials as they are then; called again after each drop
 */
export async function keepConnected(
  connect: () => Promise<SourceConnection>,
  options: KeepOptions = {},
): Promise<SourceConnection> {
  return new Kept(await connect(), connect, options);
}

class Kept implements SourceConnection {
  /** Of the first connection: the run began then. */
  readonly clock: SourceClock | null;
  readonly #connect: () => Promise<SourceConnection>;
  readonly #options: KeepOptions;
  readonly #since: bigint;
  #now: SourceConnection;
  #tries = 0;
  #reconnections = 0;
  #stalls = 0;
  #closed = false;
  /** A pull and the listing beside it lose their link together, and need one new one. */
  #reconnecting: Promise<void> | null = null;

  constructor(first: SourceConnection, connect: () => Promise<SourceConnection>, options: KeepOptions) {
    this.#now = first;
    this.#connect = connect;
    this.#options = options;
    this.clock = first.clock;
    this.#since = first.clock?.atNs ?? BigInt(Date.now()) * 1_000_000n;
  }

  get capabilities(): Capabilities {
    return this.#now.capabilities;
  }

  get address(): string {
    return this.#now.address;
  }

  get roundTripMs(): number {
    return this.#now.roundTripMs;
  }

  preflight(options: { paths: readonly string[]; signal?: AbortSignal }): Promise<PreflightCheck[]> {
    return this.#now.preflight(options);
  }

  browse(path: string | Buffer): Promise<Listing> {
    return this.#now.browse(path);
  }

  target(root: string, options?: TargetOptions): Promise<TreeTarget> {
    return this.#now.target(root, options);
  }

  reread(
    file: BrokenFile,
    ranges: readonly DataRun[],
    signal?: AbortSignal,
  ): AsyncGenerator<Buffer, boolean, undefined> {
    return this.#now.reread(file, ranges, signal);
  }

  close(): void {
    this.#closed = true;
    this.#now.close();
  }

  async measure(given: PullPlan, onProgress?: (sofar: Measure) => void, options: ScanOptions = {}): Promise<Measure> {
    const plan = this.#settled(given);
    const once = { ...options, onProblem: eachOnce(options.onProblem) };
    for (;;) {
      const connection = this.#now;
      try {
        return await connection.measure(plan, onProgress, once);
      } catch (error) {
        if (isStall(error)) throw error;
        await this.#recover(connection, error, options.signal);
      }
    }
  }

  async *scan(given: PullPlan, options: ScanOptions = {}): AsyncGenerator<ScanItem, void, undefined> {
    const plan = this.#settled(given);
    const once = { ...options, onProblem: eachOnce(options.onProblem) };
    const seen = new PathSet();
    for (let resumed = false; ; resumed = true) {
      const connection = this.#now;
      try {
        for await (const item of connection.scan(plan, once)) {
          if (resumed && seen.has(item.path)) continue;
          seen.add(item.path);
          this.#tries = 0;
          yield item;
        }
        return;
      } catch (error) {
        if (isStall(error)) throw error;
        await this.#recover(connection, error, options.signal);
      }
    }
  }

  async *pull(given: PullPlan, options: PullOptions): AsyncGenerator<PulledEntry, void, undefined> {
    const plan = this.#settled(given);
    const once = { ...options, onProblem: eachOnce(options.onProblem) };
    /** What was delivered whole or is left out. */
    const done = new PathSet();
    const uncompared: BrokenFile[] = [];
    const hooks: PullOptions = { ...once, onUncompared: (file) => uncompared.push(file) };
    let delivered = false;
    for (let resumed = false; ; resumed = true) {
      const connection = this.#now;
      const choices = new Choices(done, resumed, options.select);
      try {
        let told = !resumed;
        await this.#compare(uncompared, hooks);
        const entries = connection.pull(plan, { ...hooks, select: (item) => choices.choose(item) });
        for await (const { entry, body } of entries) {
          delivered = true;
          if (!told) this.#note(`Going on at ${shown(entry)}.`);
          told = true;
          this.#tries = 0;
          const listed = body ? choices.delivered(entry.path) : undefined;
          if (body === null || body instanceof HeldBytes) yield { entry, body };
          else {
            const { ctimeNs, inode } = listed ?? {};
            yield { entry, body: this.#whole(connection, { ...entry, ctimeNs, inode }, body, once) };
          }
          done.add(entry.path);
        }
        // Where the last file was read on over another connection, it did not end there.
        await this.#compare(uncompared, hooks);
        return;
      } catch (error) {
        // What was delivered stays, whatever became of it since; that it is missing now was told.
        if (resumed && delivered && isXVaultError(error, "PATH_MISSING", "NOTHING_READABLE")) return;
        await this.#recover(connection, error, options.signal);
        await choices.settled();
      } finally {
        choices.end();
      }
    }
  }

  /** Looks at files that had arrived whole when the link broke. */
  async #compare(files: BrokenFile[], { signal, onProblem }: PullOptions): Promise<void> {
    for (let file = files[0]; file; file = files[0]) {
      const same = (await this.#now.reread(file, [], signal).next()).value;
      if (same !== true) onProblem?.(problem(Buffer.concat([Buffer.from("/"), file.path]), "changed"));
      files.shift();
    }
  }

  /** A body to its end, over as many connections as it takes. */
  async *#whole(
    first: SourceConnection,
    entry: FileEntry & BrokenFile,
    body: AsyncIterable<Buffer>,
    options: PullOptions,
  ): AsyncGenerator<Buffer, void, undefined> {
    let connection = first;
    let at = 0;
    try {
      for await (const piece of body) {
        at += piece.length;
        this.#tries = 0;
        yield piece;
      }
      return;
    } catch (error) {
      await this.#recover(connection, error, options.signal);
    }
    for (;;) {
      connection = this.#now;
      this.#note(`Going on at ${shown(entry)}, byte ${at} of ${bodyLength(entry)}.`);
      try {
        const rest = connection.reread(entry, from(entry, at), options.signal);
        let next = await rest.next();
        for (; !next.done; next = await rest.next()) {
          at += next.value.length;
          this.#tries = 0;
          yield next.value;
        }
        const path = Buffer.concat([Buffer.from("/"), entry.path]);
        if (!next.value) options.onProblem?.(problem(path, "changed"));
        return;
      } catch (error) {
        await this.#recover(connection, error, options.signal);
      }
    }
  }

  /** One moment from which ages count, and one transport, whatever the next connection finds. */
  #settled(plan: PullPlan): PullPlan {
    const auto = plan.transport === undefined || plan.transport === "auto";
    return {
      ...plan,
      transport: auto ? this.#now.capabilities.transport : plan.transport,
      agesFromNs: plan.agesFromNs ?? this.#since,
    };
  }

  /** Connects again if that is what the error calls for and nobody has done so since; throws it otherwise. */
  async #recover(from: SourceConnection, error: unknown, signal: AbortSignal | undefined): Promise<void> {
    if (this.#closed || signal?.aborted || !isXVaultError(error, "CONNECTION_LOST")) throw error;
    if (this.#now !== from) return;
    if (this.#reconnecting) {
      // Whoever does so may be told to stop where this caller is not: what it came to is looked at anew.
      await this.#reconnecting.catch(() => {});
      return this.#recover(from, error, signal);
    }
    this.#reconnecting = this.#reconnect(from, error, signal).finally(() => {
      this.#reconnecting = null;
    });
    await this.#reconnecting;
  }

  async #reconnect(from: SourceConnection, error: unknown, signal: AbortSignal | undefined): Promise<void> {
    const most = this.#options.attempts ?? 10;
    const wait = this.#options.wait ?? rest;
    from.close();
    let cause: unknown = error;
    if (isStall(error)) {
      this.#stalls += 1;
      if (this.#stalls > MOST_STALLS) throw lasting(error);
    }
    for (;;) {
      this.#tries += 1;
      if (this.#tries > most || this.#reconnections >= MOST_RECONNECTIONS) throw cause;
      const why = isStall(error) ? error.message : "The link dropped.";
      this.#note(`${why} Connecting again, try ${this.#tries} of ${most}.`);
      await wait(Math.min(LONGEST_WAIT_MS, 1000 * 2 ** (this.#tries - 1)), signal ?? this.#options.signal);
      if (this.#closed || signal?.aborted) throw new XVaultError("CANCELLED");
      try {
        const next = await this.#connect();
        if (this.#closed) {
          next.close();
          throw new XVaultError("CANCELLED");
        }
        this.#now = next;
        this.#reconnections += 1;
        this.#note("Connected again.");
        return;
      } catch (failed) {
        if (!isXVaultError(failed, ...PASSING)) throw failed;
        cause = failed;
      }
    }
  }

  #note(message: string): void {
    this.#options.onNote?.(message);
  }
}

async function rest(ms: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await sleep(ms, undefined, signal ? { signal } : {});
  } catch {
    throw new XVaultError("CANCELLED");
  }
}

/** What another attempt would not change. */
function lasting(stall: XVaultError): XVaultError {
  const { code, message, fix, data } = stall;
  const tried = `Connecting again has not helped, ${MOST_STALLS} times.`;
  return new XVaultError(code, `${message} ${tried}`, { fix, data, retry: false, cause: stall });
}

/** The part of a file's content that follows `at` bytes of its body. */
function from(entry: FileEntry, at: number): DataRun[] {
  let skip = at;
  return (entry.sparse ?? [{ offset: 0, length: entry.size }]).flatMap(({ offset, length }) => {
    const less = Math.min(skip, length);
    skip -= less;
    return length > less ? [{ offset: offset + less, length: length - less }] : [];
  });
}

function eachOnce(tell: ScanOptions["onProblem"]): (problem: PathProblem) => void {
  const told = new Set<string>();
  return (one) => {
    const id = `${one.kind} ${one.path.toString("latin1")}`;
    if (told.has(id)) return;
    if (told.size < REMEMBERED) told.add(id);
    tell?.(one);
  };
}

function shown(entry: FileEntry): string {
  return `/${entry.path.toString("utf8")}`;
}
