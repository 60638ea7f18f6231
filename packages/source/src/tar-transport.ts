import { isXVaultError, XVaultError, type PathProblem } from "@xvault/kernel";
import { AsyncQueue } from "./async-queue.ts";
import { readTarLine } from "./diagnostics.ts";
import { type Listed, listWithFind, resolveRoots } from "./find-list.ts";
import { Hollow } from "./hollow.ts";
import { HoleSearches } from "./hole-searches.ts";
import type { Link } from "./link.ts";
import { type RemoteProcess, runRemote } from "./remote-process.ts";
import { quietReadMs } from "./silence.ts";
import { Suspects } from "./suspects.ts";
import type { PullOptions, PulledEntry, PullPlan } from "./types.ts";

/**
 * `--ignore-failed-read` makes an unreadable file a warning, which is read from standard error; atime and ctime are left out because they
 * would double the headers; mtime keeps its nanoseconds. It writes 32 KiB at a time, as much as a packet of SSH holds: with
 * its own 10 KiB the server spends a sixth more on it. The names come relative to '/', so nothing has to be stripped.
 */
const TAR =
  "cd / && exec tar --create --file=- --blocking-factor=64 --format=pax --pax-option=delete=atime,delete=ctime --sparse --ignore-failed-read " +
  "--quoting-style=escape --no-recursion --null --verbatim-files-from --files-from=-";

/** What the pull tells as it goes. */
export interface PullHooks {
  onProblem: (problem: PathProblem) => void;
  onSpecial: () => void;
  /** Something that people should know and that is no problem. */
  onNote: (message: string) => void;
}

/** Pulls by `find` and `tar` on the source: the list streams from the one into the other past our filter. */
export async function* pullByTar(
  link: Link,
  plan: PullPlan,
  options: Omit<PullOptions, "onProblem"> & PullHooks,
): AsyncGenerator<PulledEntry, void, undefined> {
  const stop = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, stop.signal]) : stop.signal;
  const suspects = new Suspects();
  const hollow = new Hollow();
  const searches = new HoleSearches();
  let last: Buffer | null = null;
  let unknown = 0;
  const starting = runRemote(link, TAR, {
    does: "reads the source's files (tar)",
    limitMs: ({ read }) => read + quietReadMs(searches.bytes),
    last: () => last && Buffer.concat([Buffer.from("/"), last]),
    signal,
    onErrorLine: (line) => {
      const said = readTarLine(line);
      if (said === "unknown") unknown += 1;
      else if (said === "noise") return;
      else if (!line.toString("latin1").endsWith("file changed as we read it") || !suspects.add(said))
        options.onProblem(said);
    },
  });
  starting.catch(() => {}); // awaited below
  const ground = await resolveRoots(link, plan, signal);
  const tar = await starting;
  const { onProblem, onSpecial } = options;
  const list = listWithFind(link, ground, plan.oneFileSystem, { onProblem, onSpecial, signal });
  let listFailure: unknown = null;
  const taken = (item: Listed) => {
    hollow.add(item);
    searches.add(item);
  };
  const feeding = feed(tar, list, options, taken).catch((error: unknown) => {
    listFailure = error;
    tar.abort();
  });
  const stdout = tar.stdout[Symbol.asyncIterator]();
  // The parser stops at tar's end mark; what follows it is ours to drain, so it must not close the stream.
  const bytes: AsyncIterable<Buffer> = { [Symbol.asyncIterator]: () => ({ next: () => stdout.next() }) };
  const failed = (cause?: unknown) => {
    const ended = tar.ended();
    if (ended === null || ended instanceof XVaultError) return ended;
    if (ended.signal === null && (ended.code === 0 || ended.code === 1 || (ended.code === 2 && unknown === 0)))
      return null;
    const said = tar.lastWords() || ended.signal || `exit ${ended.code}`;
    return new XVaultError("REMOTE_FAILED", `tar failed on the source: ${said}`, { cause });
  };
  try {
    for await (const { entry, body } of options.parseTar(bytes)) {
      suspects.saw(entry);
      searches.saw(entry);
      last = entry.path;
      yield { entry, body: entry.type === "file" ? body : null };
    }
    while (!(await stdout.next()).done);
    await tar.exit;
    await feeding;
    const failure = failed();
    if (listFailure || failure) throw listFailure ?? failure;
    for (const one of await suspects.confirmed(link, signal)) onProblem(one);
    for (const one of await hollow.wrong(link, signal)) onProblem(one);
  } catch (error) {
    // A stream that broke looks to the parser like a damaged archive; the cause is what counts.
    const cause = listFailure ?? failed(error) ?? error;
    // Whoever goes on over another connection takes what came whole for done.
    const broke = link.lost || isXVaultError(cause, "CONNECTION_LOST");
    for (const { problem, file } of broke ? suspects.doubtful() : []) {
      if (options.onUncompared) options.onUncompared(file);
      else onProblem(problem);
    }
    throw cause;
  } finally {
    stop.abort();
    list.return().catch(() => {});
  }
}

/** False when an answer takes longer than this turn of the event loop; what is gathered should not wait for it. */
async function soon(answer: Promise<boolean>): Promise<boolean> {
  let turn: NodeJS.Immediate | undefined;
  const later = new Promise<false>((resolve) => {
    turn = setImmediate(() => resolve(false));
  });
  try {
    return await Promise.race([answer.then(() => true), later]);
  } finally {
    clearImmediate(turn);
  }
}

/** Names go to tar in pieces of about this. Bytes. */
const NAMES = 32 * 1024;
/** So many pieces wait for tar, some 4 MiB of names, before the listing does. */
const PIECES = 128;

/** Lists what is to be taken and hands the names that are to tar's standard input. The listing runs ahead of tar, by so many names. */
async function feed(
  tar: RemoteProcess,
  list: AsyncGenerator<Listed, void, undefined>,
  { select, onListing }: Pick<PullOptions, "select" | "onListing">,
  onTaken: (item: Listed) => void,
): Promise<void> {
  const pieces = new AsyncQueue<Buffer>(PIECES);
  let listens = true;
  const writing = writeNames(tar, pieces).then((all) => {
    listens = all;
  });
  let piece = Buffer.allocUnsafeSlow(NAMES);
  let size = 0;
  const flush = (): Promise<void> | undefined => {
    if (size === 0) return undefined;
    const room = pieces.push(piece.subarray(0, size));
    piece = Buffer.allocUnsafeSlow(NAMES);
    size = 0;
    if (room) onListing?.("waiting");
    return room;
  };
  onListing?.("begun");
  try {
    for await (const item of list) {
      if (!listens) return;
      const answer = select?.(item) ?? true;
      if (typeof answer !== "boolean") {
        if (!(await soon(answer))) await flush();
        if (!(await answer)) continue;
      } else if (!answer) continue;
      onTaken(item);
      if (size + item.path.length + 1 > piece.length) {
        const room = flush();
        if (room) await room;
        if (item.path.length >= piece.length) piece = Buffer.allocUnsafeSlow(item.path.length + 1);
      }
      size += item.path.copy(piece, size);
      piece[size++] = 0;
    }
    onListing?.("ended");
    await flush();
  } finally {
    pieces.end();
  }
  await writing;
  if (listens) tar.endInput();
}

/** False when tar listens no more: the rest is dropped then. */
async function writeNames(tar: RemoteProcess, pieces: AsyncQueue<Buffer>): Promise<boolean> {
  for await (const piece of pieces) if (!(await tar.write(piece))) return false;
  return true;
}
