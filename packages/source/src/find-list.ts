import { XVaultError, type PathProblem } from "@xvault/kernel";
import { problem, readFindLine } from "./diagnostics.ts";
import type { Link } from "./link.ts";
import { findMarked } from "./find-marked.ts";
import { Owners, PRINT_OWNERS } from "./owners.ts";
import { collect, runRemote, splitNul, throughXargs } from "./remote-process.ts";
import { nanoseconds } from "./reread.ts";
import { Selection, isWithin } from "./selection.ts";
import type { PullPlan, ScanItem } from "./types.ts";

/** One thing that is taken, with its absolute path on the source. */
export interface Listed extends ScanItem {
  absolute: Buffer;
  /** How many blocks of 512 bytes it occupies, where the transport tells it (GNU find). */
  blocks?: number | undefined;
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
/** Owners' names may hold anything but NUL, like paths: each field that is text ends with one. */
const NUMBERS = "%y %d %s %T@ %C@ %i %m %n %b %U %G";
const WITH_NAMES = `${NUMBERS} %u\\0%g\\0%p\\0`;
const WITHOUT_NAMES = `${NUMBERS} \\0\\0%p\\0`;
const TEXTS = 3;
const BILLION = 1_000_000_000n;
const NO_OWNERS = new Owners("", "");

/** What a listing needs to know before it begins. */
export interface Ground {
  selection: Selection;
  owners: Owners;
}

/**
 * The plan's paths as roots. A path that is a symbolic link is a root as itself, and so is what it leads to, under its real path.
 */
export async function resolveRoots(link: Link, plan: PullPlan, signal?: AbortSignal): Promise<Ground> {
  const given = new Selection(plan.paths, plan);
  const process = await runRemote(link, `${PRINT_OWNERS}; ${throughXargs(RESOLVE)}`, {
    does: "looks the source's paths up (find, readlink)",
    limitMs: ({ answer }) => answer,
    signal,
  });
  await process.write(Buffer.concat(given.roots.flatMap((root) => [root, Buffer.from([0])])));
  process.endInput();
  const [users = "", groups = "", ...fields] = (await collect(process, 4 * 1024 * 1024)).toString("latin1").split("\0");
  const extra: Buffer[] = [];
  for (let index = 0; index < given.roots.length; index++) {
    const kinds = fields[2 * index] ?? "";
    const real = fields[2 * index + 1] ?? "";
    if (/^l[df]$/.test(kinds) && real.startsWith("/")) extra.push(Buffer.from(real, "latin1"));
  }
  const utf8 = (text: string) => Buffer.from(text, "latin1").toString("utf8");
  return { selection: given.with(extra), owners: new Owners(utf8(users), utf8(groups)) };
}

/**
 * Lists what a plan takes with GNU find on the source: parents before children, in constant memory.
 *
 * @throws CONNECTION_LOST when the listing broke off, REMOTE_FAILED, CANCELLED
 */
export async function* listWithFind(
  link: Link,
  { selection, owners }: Ground,
  oneFileSystem: boolean,
  options: ListOptions,
): AsyncGenerator<Listed, void, undefined> {
  const marked = await findMarked(link, selection, oneFileSystem, options.signal);
  const strange: string[] = [];
  let problems = 0;
  let last: Buffer | null = null;
  const inner = `exec find -P "$@" ${oneFileSystem ? "-xdev " : ""}${owners.print(WITHOUT_NAMES, WITH_NAMES)}`;
  const process = await runRemote(link, throughXargs(inner), {
    does: "lists the source's files (find)",
    limitMs: ({ list }) => list,
    last: () => last,
    signal: options.signal,
    onErrorLine: (line) => {
      const found = readFindLine(line);
      problems += 1;
      if (!found) {
        if (strange.length < 20) strange.push(line.toString());
      } else if (reachesSomewhere(selection, marked, found.path)) options.onProblem(found);
    },
  });
  try {
    await process.write(Buffer.concat(selection.roots.flatMap((root) => [root, Buffer.from([0])])));
    process.endInput();
    let root = -1;
    /** The directory whose inside is left out; find lists a directory's whole inside right behind it. */
    let closed: Buffer | null = null;
    for await (const record of splitNul(process.stdout, TEXTS)) {
      const item = parseRecord(record, owners);
      last = item.absolute;
      if (item.depth === 0) root = selection.roots.findIndex((one) => one.equals(item.absolute));
      else if (closed && isWithin(item.absolute, closed)) continue;
      const taken = selection.takes(root, item.absolute, item.kind === "d");
      const inside = taken && !(marked.size > 0 && marked.has(item.absolute.toString("latin1")));
      closed = item.kind === "d" && !inside ? item.absolute : null;
      if (!taken) continue;
      const type = item.kind === "f" ? "file" : item.kind === "d" ? "dir" : item.kind === "l" ? "symlink" : null;
      if (!type) {
        options.onSpecial();
        continue;
      }
      const path = item.absolute.subarray(1);
      if (path.length === 0) continue; // the root of the file system has no name of its own
      // The record itself becomes the item: copying it costs more than reading it.
      const named: Pick<Listed, "path" | "type" | "size"> = { path, type, size: type === "file" ? item.size : 0 };
      const found: Listed = Object.assign(item, named);
      if (selection.keeps(found)) yield found;
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
function reachesSomewhere(selection: Selection, marked: ReadonlySet<string>, path: Buffer): boolean {
  for (let at = path.lastIndexOf(0x2f); marked.size > 0 && at > 0; at = path.lastIndexOf(0x2f, at - 1)) {
    if (marked.has(path.toString("latin1", 0, at))) return false;
  }
  return selection.roots.some((root, index) => isWithin(path, root) && selection.reaches(index, path, true));
}

interface FoundRecord extends Omit<Listed, "path" | "type"> {
  kind: string;
  depth: number;
}

/** One record of find, with the owners' names or without them. Exported for its test. */
export function parseRecord(record: Buffer, owners: Owners = NO_OWNERS): FoundRecord {
  const group = record.indexOf(0) + 1;
  const name = record.indexOf(0, group) + 1;
  if (group === 0 || name === 0) throw malformed();
  // Read byte by byte: a record comes for every file.
  const fields = new Fields(record, group - 1);
  const kind = fields.text();
  const depth = fields.number();
  const size = fields.number();
  const mtimeNs = fields.time();
  const ctimeNs = fields.time();
  const inode = fields.big();
  const mode = fields.octal();
  const nlink = fields.number();
  const blocks = fields.number();
  const uid = fields.number();
  const gid = fields.number();
  const absolute = Buffer.from(record.subarray(name));
  const found: FoundRecord = {
    kind,
    depth,
    size,
    mtimeNs,
    ctimeNs,
    inode,
    mode,
    nlink,
    blocks,
    uid,
    gid,
    absolute,
  };
  // The rest of the first text, which may hold spaces itself. find prints the number where an owner has no name.
  const uname = record.toString("utf8", fields.at, group - 1);
  const gname = record.toString("utf8", group, name - 1);
  const userName = uname === "" ? owners.user(uid) : uname === String(uid) ? undefined : uname;
  const groupName = gname === "" ? owners.group(gid) : gname === String(gid) ? undefined : gname;
  if (userName !== undefined) found.uname = userName;
  if (groupName !== undefined) found.gname = groupName;
  return found;
}

const SPACE = 0x20;

/** What stands in front of the spaces of a record, one after the other. */
class Fields {
  readonly #bytes: Buffer;
  readonly #end: number;
  /** Where the next one begins. */
  at = 0;

  constructor(bytes: Buffer, end: number) {
    this.#bytes = bytes;
    this.#end = end;
  }

  number(): number {
    return this.#digits(10);
  }

  octal(): number {
    return this.#digits(8);
  }

  /** A number that may be larger than a double holds exactly. */
  big(): bigint {
    const from = this.at;
    const value = this.number();
    return Number.isSafeInteger(value) ? BigInt(value) : BigInt(this.#bytes.toString("latin1", from, this.at - 1));
  }

  /** '1577836800.1234567890' (find prints ten digits) in nanoseconds. */
  time(): bigint {
    const bytes = this.#bytes;
    const from = this.at;
    let at = from;
    let seconds = 0;
    for (; isDigit(bytes[at]); at += 1) seconds = seconds * 10 + (bytes[at] ?? 0) - 0x30;
    const point = at;
    let fraction = 0;
    for (at = point + 1; at <= point + 9 && isDigit(bytes[at]); at += 1)
      fraction = fraction * 10 + (bytes[at] ?? 0) - 0x30;
    const usual = point > from && point - from <= 12 && bytes[point] === 0x2e && at === point + 10;
    if (usual && isDigit(bytes[at]) && bytes[at + 1] === SPACE) {
      this.at = at + 2;
      return BigInt(seconds) * BILLION + BigInt(fraction);
    }
    // Before 1970, or with another number of digits.
    const text = this.text();
    if (!/^-?\d+(?:\.\d*)?$/.test(text)) throw malformed();
    return nanoseconds(text);
  }

  #digits(base: number): number {
    let value = 0;
    const from = this.at;
    for (; isDigit(this.#bytes[this.at]); this.at += 1) value = value * base + (this.#bytes[this.at] ?? 0) - 0x30;
    if (this.at === from || this.at >= this.#end || this.#bytes[this.at] !== SPACE) throw malformed();
    this.at += 1;
    return value;
  }

  text(): string {
    const end = this.#bytes.indexOf(SPACE, this.at);
    if (end < 0 || end >= this.#end) throw malformed();
    const text = this.#bytes.toString("latin1", this.at, end);
    this.at = end + 1;
    return text;
  }
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39;
}

function malformed(): XVaultError {
  return new XVaultError("REMOTE_FAILED", "A listing from the source is malformed.");
}
