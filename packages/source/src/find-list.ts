import { XVaultError, type PathProblem } from "@xvault/kernel";
import { problem, readFindLine } from "./diagnostics.ts";
import type { Link } from "./link.ts";
import { collect, runRemote, splitNul } from "./remote-process.ts";
import { Selection } from "./selection.ts";
import type { PullPlan, ScanItem } from "./types.ts";

/** One thing that is taken, with its absolute path on the source. */
export interface Listed extends ScanItem {
  absolute: Buffer;
}

export interface ListOptions {
  onProblem: (problem: PathProblem) => void;
  /** Called once for each FIFO, socket or device below the roots. */
  onSpecial: () => void;
  signal?: AbortSignal | undefined;
}

// Each script gets its paths through standard input by way of xargs. No single quotes inside: see `runRemote`.
const RESOLVE =
  'for p do printf "%s\\0" "$(find -P "$p" -maxdepth 0 -printf "%y%Y" 2>/dev/null)"; readlink -fz -- "$p" || printf "\\0"; done';
const PRINT = '-printf "%y %d %s %T@ %C@ %i %p\\0"';

function throughXargs(inner: string): string {
  // The inner script stands in double quotes of the outer one.
  return `exec xargs -0 -r sh -c "${inner.replace(/[\\"$`]/g, "\\$&")}" find`;
}

/**
 * The plan's paths as roots. A path that is a symbolic link is a root as itself, and so is what it leads to, under its real path.
 */
export async function resolveRoots(link: Link, plan: PullPlan, signal?: AbortSignal): Promise<Selection> {
  const given = new Selection(plan.paths, plan.excludes);
  const process = await runRemote(link, throughXargs(RESOLVE), { signal });
  await process.write(Buffer.concat(given.roots.flatMap((root) => [root, Buffer.from([0])])));
  process.endInput();
  const fields = (await collect(process, 4 * 1024 * 1024)).toString("latin1").split("\0");
  const extra: Buffer[] = [];
  for (let index = 0; index < given.roots.length; index++) {
    const kinds = fields[2 * index] ?? "";
    const real = fields[2 * index + 1] ?? "";
    if (/^l[df]$/.test(kinds) && real.startsWith("/")) extra.push(Buffer.from(real, "latin1"));
  }
  return extra.length === 0 ? given : new Selection([...given.roots, ...extra], plan.excludes);
}

/**
 * Lists what a plan takes with GNU find on the source: parents before children, in constant memory.
 *
 * @throws CONNECTION_LOST when the listing broke off, REMOTE_FAILED, CANCELLED
 */
export async function* listWithFind(
  link: Link,
  selection: Selection,
  oneFileSystem: boolean,
  options: ListOptions,
): AsyncGenerator<Listed, void, undefined> {
  const strange: string[] = [];
  let problems = 0;
  const inner = `exec find -P "$@" ${oneFileSystem ? "-xdev " : ""}${PRINT}`;
  const process = await runRemote(link, throughXargs(inner), {
    signal: options.signal,
    onErrorLine: (line) => {
      const found = readFindLine(line);
      problems += 1;
      if (!found) {
        if (strange.length < 20) strange.push(line.toString());
      } else if (takesSomewhere(selection, found.path)) options.onProblem(found);
    },
  });
  try {
    await process.write(Buffer.concat(selection.roots.flatMap((root) => [root, Buffer.from([0])])));
    process.endInput();
    let root = -1;
    for await (const record of splitNul(process.stdout)) {
      const item = parseRecord(record);
      if (item.depth === 0) root = selection.roots.findIndex((one) => one.equals(item.absolute));
      if (!selection.takes(root, item.absolute, item.kind === "d")) continue;
      const type = item.kind === "f" ? "file" : item.kind === "d" ? "dir" : item.kind === "l" ? "symlink" : null;
      if (!type) {
        options.onSpecial();
        continue;
      }
      const path = item.absolute.subarray(1);
      if (path.length === 0) continue; // the root of the file system has no name of its own
      const { absolute, mtimeNs, ctimeNs, inode } = item;
      yield { path, absolute, type, size: type === "file" ? item.size : 0, mtimeNs, ctimeNs, inode };
    }
    const { code } = await process.exit;
    // Where find itself saw nothing wrong, such a line came from something else, as from what a login script left running.
    if (code !== 0) for (const line of strange) options.onProblem(problem(Buffer.from("/"), "unreadable", line));
    if (code !== 0 && !(code === 123 && problems > 0)) {
      throw new XVaultError("REMOTE_FAILED", `Listing the source failed: ${process.lastWords() || `exit ${code}`}`);
    }
  } finally {
    process.abort();
  }
}

/** Problems below a root that an exclude covers are no problems. */
function takesSomewhere(selection: Selection, path: Buffer): boolean {
  return selection.roots.some((root, index) => {
    const within = root.length === 1 || path.subarray(0, root.length).equals(root);
    return within && selection.takes(index, path, true);
  });
}

interface FoundRecord {
  kind: string;
  depth: number;
  size: number;
  mtimeNs: bigint;
  ctimeNs: bigint;
  inode: bigint;
  absolute: Buffer;
}

function parseRecord(record: Buffer): FoundRecord {
  const fields: string[] = [];
  let from = 0;
  for (let field = 0; field < 6; field++) {
    const at = record.indexOf(0x20, from);
    if (at < 0) throw new XVaultError("REMOTE_FAILED", "A listing from the source is malformed.");
    fields.push(record.toString("latin1", from, at));
    from = at + 1;
  }
  const [kind = "", depth, size, mtime, ctime, inode] = fields;
  return {
    kind,
    depth: Number(depth),
    size: Number(size),
    mtimeNs: nanoseconds(mtime ?? "0"),
    ctimeNs: nanoseconds(ctime ?? "0"),
    inode: BigInt(inode ?? 0),
    absolute: Buffer.from(record.subarray(from)),
  };
}

/** '1577836800.1234567890' (find prints ten digits) as nanoseconds. */
function nanoseconds(text: string): bigint {
  const [seconds = "0", fraction = ""] = text.split(".");
  return BigInt(seconds) * 1_000_000_000n + BigInt(fraction.slice(0, 9).padEnd(9, "0"));
}
