import { XVaultError } from "@xvault/kernel";
import type { Link, OpenChannel } from "./link.ts";
import { type SilenceLimits, SilenceWatch, stallError } from "./silence.ts";

const MARK = Buffer.from("XVAULT-BEGIN");
const MARKER = Buffer.concat([MARK, Buffer.from("\n")]);
const MARKER_WITHIN = 64 * 1024;

/** How a remote command ended. */
export interface Exit {
  /** Null when a signal ended it. */
  code: number | null;
  signal: string | null;
}

/** A command that runs on the source. */
export interface RemoteProcess {
  /**
   * The standard output. Its end is reached only when the command's exit status has arrived; a link that breaks before throws
   * CONNECTION_LOST, so what was read is never mistaken for the whole. Iterate once; breaking off does not end the command.
   */
  stdout: AsyncIterable<Buffer>;
  /** Sends to standard input; resolves when more can be taken. False when the command listens no more. */
  write(data: Buffer): Promise<boolean>;
  endInput(): void;
  /** Resolves with the exit status; rejects with CONNECTION_LOST when there is none. Never rejects unobserved. */
  exit: Promise<Exit>;
  /** What `exit` came to, or null while the command still runs. */
  ended(): Exit | XVaultError | null;
  /** The last lines of standard error, for messages. */
  lastWords(): string;
  /** Closes the channel, and waits for nothing: a command that hangs in the kernel ends when that lets it. */
  abort(): void;
}

export interface RunOptions {
  /** Completes 'The command that …', for the message when it hangs: 'lists the source's files (find)'. */
  does: string;
  /** How long it may send nothing while it is waited for and has something to do. Milliseconds; asked anew as time passes. */
  limitMs: (limits: SilenceLimits) => number;
  /** Whether it has something to do while its input is open; it may want more input otherwise. Default: not that we know. */
  owes?: (() => boolean) | undefined;
  /** The absolute path that it told of last, for the message. */
  last?: (() => Buffer | null) | undefined;
  onErrorLine?: ((line: Buffer) => void) | undefined;
  signal?: AbortSignal | undefined;
}

/**
 * Runs a fixed command line on the source. It must hold no value from outside: paths travel through standard input, so no shell of
 * whatever kind ever interprets one. What a login script prints before the command, on standard output or standard error, is skipped
 * (everything up to a marker line): a complaint of the login is none of the command's.
 *
 * A command that hangs, as on a network disk whose server is gone, is given up with CONNECTION_LOST (`isStall`) when nothing at all has come
 * for its limit while we wanted more and a bandwidth limit did not keep it back.
 *
 * @param script for `sh -c`; without single quotes
 */
export async function runRemote(link: Link, script: string, options: RunOptions): Promise<RemoteProcess> {
  if (options.signal?.aborted) throw new XVaultError("CANCELLED");
  return link.exec(`env LC_ALL=C sh -c 'echo ${MARK}; echo ${MARK} >&2; ${script}'`, (opened) =>
    attach(link, opened, options),
  );
}

/** A script for `runRemote` that runs another one with the NUL-ended words of its standard input as arguments, so many at a time. */
export function throughXargs(inner: string, each?: number): string {
  // The inner script stands in double quotes of the outer one.
  return `exec xargs -0 -r ${each === undefined ? "" : `-n ${each} `}sh -c "${inner.replace(/[\\"$`]/g, "\\$&")}" find`;
}

function attach(
  link: Link,
  { channel, intake, consumed, ended: endedByServer }: OpenChannel,
  options: RunOptions,
): RemoteProcess {
  let status: Exit | null = null;
  const words: string[] = [];
  const wakers = new Set<() => void>();
  const wake = () => {
    for (const one of wakers) one();
    wakers.clear();
  };
  const change = () => new Promise<void>((resolve) => wakers.add(resolve));

  /** What is waited for: more output (or the end), and room for more input. */
  let asking = false;
  let writing = false;
  let inputEnded = false;
  let outputEnded = false;
  const waiting = () => {
    if (link.heldBack) return false;
    if (asking && (inputEnded || outputEnded || options.owes?.() === true)) return true;
    // A command that cannot get rid of its output takes no input, and that is ours to take.
    return writing && (intake?.held ?? 0) === 0;
  };
  const watch = new SilenceWatch({
    limitMs: () => options.limitMs(link.silence),
    waiting,
    onStall: (ms) => giveUp(stallError(`The command that ${options.does}`, ms, options.last?.() ?? null)),
  });
  const heard = () => {
    watch.heard();
    wake();
  };
  channel.on("exit", (code: number | null, signal?: string) => {
    status = { code, signal: signal ?? null };
    heard();
  });
  channel.on("readable", heard);
  if (intake) intake.onMore = heard;
  channel.on("end", heard);
  channel.on("drain", heard);
  channel.on("error", wake);

  let ended: Exit | XVaultError | null = null;
  const { promise: exit, resolve, reject } = Promise.withResolvers<Exit>();
  exit.catch(() => {});
  const end = (outcome: Exit | XVaultError) => {
    if (ended) return;
    ended = outcome;
    watch.stop();
    options.signal?.removeEventListener("abort", cancel);
    if (outcome instanceof XVaultError) reject(outcome);
    else resolve(outcome);
    wake();
  };
  // The server confirms that a channel is closed, or does not: nothing waits for that.
  const giveUp = (why: XVaultError) => {
    channel.close();
    end(why);
  };
  const cancel = () => giveUp(new XVaultError("CANCELLED"));
  const broken = () => link.lost ?? new XVaultError("CONNECTION_LOST");
  // A status comes when the command is over; what it had written may still be on its way then.
  channel.on("close", () => end(status && endedByServer() ? status : broken()));
  options.signal?.addEventListener("abort", cancel, { once: true });
  if (options.signal?.aborted) cancel();
  let begun = false;
  channel.stderr.on("data", heard);
  readLines(channel.stderr, (line) => {
    if (!begun && endsWith(line, MARK)) {
      begun = true;
      words.length = 0;
      return;
    }
    if (words.push(line.toString("utf8")) > 20) words.shift();
    if (begun && !ended) options.onErrorLine?.(line);
  });

  async function* output(): AsyncGenerator<Buffer, void, undefined> {
    let searching: Buffer | null = Buffer.alloc(0);
    for (;;) {
      // With nothing left to take, reading the channel lets it come to its end.
      const piece = intake?.take() ?? (channel.read() as Buffer | null);
      if (piece === null) {
        if (channel.readableEnded || ended) break;
        asking = true;
        await change();
        asking = false;
        continue;
      }
      consumed();
      if (searching === null) {
        yield piece;
        continue;
      }
      searching = Buffer.concat([searching, piece]);
      const at = searching.indexOf(MARKER);
      if (at < 0 && searching.length < MARKER_WITHIN) continue;
      if (at < 0) throw new XVaultError("REMOTE_FAILED", "The login shell prints too much text of its own.");
      const rest: Buffer = searching.subarray(at + MARKER.length);
      searching = null;
      if (rest.length > 0) yield rest;
    }
    asking = true;
    outputEnded = true;
    await exit;
    if (searching !== null) {
      throw new XVaultError("REMOTE_FAILED", `No shell commands can be run on the source: ${words.join(" ").trim()}`);
    }
  }

  return {
    stdout: output(),
    exit,
    ended: () => ended,
    lastWords: () => words.join("\n"),
    abort: () => giveUp(broken()),
    endInput: () => {
      inputEnded = true;
      if (!ended) channel.end();
    },
    async write(data) {
      if (ended || !channel.writable) return false;
      if (channel.write(data)) return true;
      writing = true;
      while (!ended && channel.writableNeedDrain) await change();
      writing = false;
      return !ended;
    },
  };
}

/** Collects a command's whole output, bounded. */
export async function collect(process: RemoteProcess, limit: number): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of process.stdout) {
    size += piece.length;
    if (size > limit) {
      process.abort();
      throw new XVaultError("REMOTE_FAILED", "A command on the source printed more than expected.");
    }
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

function endsWith(line: Buffer, end: Buffer): boolean {
  return line.subarray(-end.length).equals(end);
}

/** Splits a stream into lines without their ends; overlong ones are cut. */
function readLines(stream: NodeJS.ReadableStream, onLine: (line: Buffer) => void): void {
  let rest: Buffer = Buffer.alloc(0);
  stream.on("data", (piece: Buffer) => {
    rest = rest.length > 0 ? Buffer.concat([rest, piece]) : piece;
    let from = 0;
    for (let at = rest.indexOf(10); at >= 0; at = rest.indexOf(10, from)) {
      onLine(rest.subarray(from, at));
      from = at + 1;
    }
    rest = rest.subarray(from);
    if (rest.length > 64 * 1024) {
      onLine(rest);
      rest = Buffer.alloc(0);
    }
  });
  stream.on("end", () => {
    if (rest.length > 0) onLine(rest);
  });
}

/** Splits a stream at every `each`-th NUL byte. A last piece without one is dropped: it was cut off. */
export async function* splitNul(bytes: AsyncIterable<Buffer>, each = 1): AsyncGenerator<Buffer, void, undefined> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const piece of bytes) {
    const data: Buffer = rest.length > 0 ? Buffer.concat([rest, piece]) : piece;
    let from = 0;
    let seen = 0;
    for (let at = data.indexOf(0); at >= 0; at = data.indexOf(0, at + 1)) {
      seen += 1;
      if (seen < each) continue;
      yield data.subarray(from, at);
      from = at + 1;
      seen = 0;
    }
    rest = data.subarray(from);
    if (rest.length > 1024 * 1024) throw new XVaultError("REMOTE_FAILED", "A listing from the source is malformed.");
  }
}
