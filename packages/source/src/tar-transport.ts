import { XVaultError, type PathProblem } from "@xvault/kernel";
import { readTarLine } from "./diagnostics.ts";
import { type Listed, listWithFind, resolveRoots } from "./find-list.ts";
import { Hollow } from "./hollow.ts";
import type { Link } from "./link.ts";
import { type RemoteProcess, runRemote } from "./remote-process.ts";
import { Suspects } from "./suspects.ts";
import type { PullOptions, PulledEntry, PullPlan } from "./types.ts";

/**
 * `--ignore-failed-read` makes an unreadable file a warning, which is read from standard error; atime and ctime are left out because they
 * would double the headers; mtime keeps its nanoseconds. The names come relative to '/', so nothing has to be stripped.
 */
const TAR =
  "cd / && exec tar --create --file=- --format=pax --pax-option=delete=atime,delete=ctime --sparse --ignore-failed-read " +
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
  let unknown = 0;
  const starting = runRemote(link, TAR, {
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
  const selection = await resolveRoots(link, plan, signal);
  const tar = await starting;
  const { onProblem, onSpecial } = options;
  const list = listWithFind(link, selection, plan.oneFileSystem, { onProblem, onSpecial, signal });
  let listFailure: unknown = null;
  const feeding = feed(tar, list, options.select, hollow).catch((error: unknown) => {
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
    for (const { problem, file } of link.lost ? suspects.doubtful() : []) {
      if (options.onUncompared) options.onUncompared(file);
      else onProblem(problem);
    }
    // A stream that broke looks to the parser like a damaged archive; the cause is what counts.
    throw listFailure ?? failed(error) ?? error;
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

/** Writes the names that are taken to tar's standard input, at the pace at which tar takes them. */
async function feed(
  tar: RemoteProcess,
  list: AsyncGenerator<Listed, void, undefined>,
  select: PullOptions["select"],
  hollow: Hollow,
): Promise<void> {
  let names: Buffer[] = [];
  let size = 0;
  const end = Buffer.from([0]);
  const flush = async () => {
    const data = Buffer.concat(names);
    names = [];
    size = 0;
    return data.length === 0 || tar.write(data);
  };
  for await (const item of list) {
    const answer = select?.(item) ?? true;
    if (typeof answer !== "boolean" && !(await soon(answer)) && !(await flush())) return;
    if (!(await answer)) continue;
    hollow.add(item);
    names.push(item.path, end);
    size += item.path.length + 1;
    if (size >= 32 * 1024 && !(await flush())) return;
  }
  await flush();
  tar.endInput();
}
