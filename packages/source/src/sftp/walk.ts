import { XVaultError, type PathProblem } from "@xvault/kernel";
import { problem } from "../diagnostics.ts";
import type { ListOptions, Listed } from "../find-list.ts";
import { Selection } from "../selection.ts";
import type { PullPlan, ScanItem } from "../types.ts";
import { type Attrs, kindOf } from "./packets.ts";
import { isMarked } from "./marked.ts";
import { type NamedAttrs, type SftpSession, problemOf } from "./session.ts";

/** As the walk finds it, with what SFTP tells of it. */
export interface WalkItem extends Listed {
  attrs: Attrs;
  linkTarget?: Buffer | undefined;
}

/** What SFTP tells of a thing, as entries and listings have it. */
export function ownership(attrs: Attrs): Pick<ScanItem, "mode" | "uid" | "gid" | "mtimeNs"> {
  return {
    mode: (attrs.mode ?? 0o600) & 0o7777,
    uid: attrs.uid ?? 0,
    gid: attrs.gid ?? 0,
    mtimeNs: BigInt(attrs.mtime ?? 0) * 1_000_000_000n,
  };
}

/** So many directories, the next ones in the order of the walk, are read ahead. */
const AHEAD = 64;
/** Beyond this many entries that are known and not yet passed on, only the very next directory is read. */
const HELD = 20_000;
const READDIRS_AHEAD = 16;
/** With fewer entries left, a directory that is being passed on is read on. */
const LOW = 500;

/** As `resolveRoots` of the tar transport, over SFTP. */
export async function resolveRootsBySftp(session: SftpSession, plan: PullPlan): Promise<Selection> {
  const given = new Selection(plan.paths, plan);
  const extra = await Promise.all(
    given.roots.map(async (root) => {
      try {
        if (kindOf(await session.lstat(root)) !== "symlink") return [];
        const kind = kindOf(await session.stat(root));
        return kind === "file" || kind === "dir" ? [await session.realpath(root)] : [];
      } catch (error) {
        problemOf(root, error); // told by the walk itself; other errors are thrown
        return [];
      }
    }),
  );
  return given.with(extra.flat());
}

/**
 * Lists what a plan takes over SFTP, depth first: a directory, then all below it, then its next sibling, so that whoever unpacks a tar in
 * this order can finish a directory when he leaves it. Many directories are read ahead; memory is bounded by the depth of the tree.
 *
 * @throws CONNECTION_LOST, CANCELLED
 */
export function walk(
  session: SftpSession,
  selection: Selection,
  oneFileSystem: boolean,
  options: ListOptions & { readLinks: boolean },
): AsyncGenerator<WalkItem, void, undefined> {
  return new Walker(session, selection, oneFileSystem && session.has("statvfs@openssh.com"), options).walk();
}

/** A directory on its way: not begun, read ahead, being passed on. */
class Directory {
  readonly root: number;
  readonly path: Buffer;
  /** The parent's file system until it is begun, then its own. */
  fsid: string | null;
  handle: Buffer | null = null;
  begun = false;
  reading = false;
  ended = false;
  /** How many requests the next read makes at once. */
  requests = 2;
  /** What is known and not yet passed on. */
  readonly entries: { item: WalkItem; dir: Directory | null }[] = [];
  /** The directories among it. */
  readonly dirs: Directory[] = [];

  constructor(root: number, path: Buffer, fsid: string | null) {
    this.root = root;
    this.path = path;
    this.fsid = fsid;
  }
}

class Walker {
  readonly #session: SftpSession;
  readonly #selection: Selection;
  readonly #oneFileSystem: boolean;
  readonly #options: ListOptions & { readLinks: boolean };
  /** From the top down to the directory that is being passed on. */
  readonly #stack: Directory[] = [];
  /** Directories that are open on the server. */
  readonly #open = new Set<Directory>();
  #held = 0;
  #stopped = false;
  #failure: { error: unknown } | null = null;
  #wake: (() => void) | null = null;

  constructor(
    session: SftpSession,
    selection: Selection,
    oneFileSystem: boolean,
    options: ListOptions & { readLinks: boolean },
  ) {
    this.#session = session;
    this.#selection = selection;
    this.#oneFileSystem = oneFileSystem;
    this.#options = options;
  }

  async *walk(): AsyncGenerator<WalkItem, void, undefined> {
    const { signal } = this.#options;
    const cancel = () => this.#fail(new XVaultError("CANCELLED"));
    signal?.addEventListener("abort", cancel, { once: true });
    if (signal?.aborted) cancel();
    const top = new Directory(-1, Buffer.alloc(0), null);
    this.#stack.push(top);
    try {
      this.#begin(top, () => this.#roots(top));
      for (let at = this.#stack.at(-1); at; at = this.#stack.at(-1)) {
        if (this.#failure) throw this.#failure.error;
        if (at.begun && !at.reading && !at.ended && at.entries.length < LOW) this.#begin(at, () => this.#read(at));
        const next = at.entries.shift();
        if (next) {
          this.#held -= 1;
          if (next.item.path.length > 0) yield next.item;
          if (next.dir) this.#enter(at, next.dir);
        } else if (at.reading) {
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
        } else this.#stack.pop();
      }
    } finally {
      signal?.removeEventListener("abort", cancel);
      this.#stopped = true;
      for (const dir of this.#open) if (!dir.reading) this.#close(dir);
    }
  }

  #enter(from: Directory, dir: Directory): void {
    from.dirs.shift();
    this.#stack.push(dir);
    if (!dir.begun) this.#begin(dir, () => this.#read(dir));
    this.#readAhead();
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
    this.#wake?.();
  }

  #begin(dir: Directory, work: () => Promise<void>): void {
    dir.begun = true;
    dir.reading = true;
    work()
      .catch((error: unknown) => this.#fail(error))
      .finally(() => {
        dir.reading = false;
        if (dir.ended || this.#stopped) this.#close(dir);
        this.#readAhead();
        this.#wake?.();
      });
  }

  /** Begins those of the next directories that are not begun. The first of them is never refused, so the walk goes on. */
  #readAhead(): void {
    let seen = 0;
    const visit = (dirs: readonly Directory[]): boolean => {
      for (const dir of dirs) {
        seen += 1;
        if (!dir.begun) {
          if (seen > 1 && (this.#open.size >= AHEAD || this.#held >= HELD)) return false;
          this.#begin(dir, () => this.#read(dir));
        }
        if (seen >= AHEAD || !visit(dir.dirs)) return false;
      }
      return true;
    };
    if (this.#stopped || this.#failure) return;
    for (let level = this.#stack.length - 1; level >= 0; level--) {
      if (!visit(this.#stack[level]?.dirs ?? [])) return;
    }
  }

  async #roots(top: Directory): Promise<void> {
    for (const [root, path] of this.#selection.roots.entries()) {
      try {
        const attrs = await this.#session.lstat(path);
        if (!this.#selection.takes(root, path, kindOf(attrs) === "dir")) continue;
        await this.#keep(top, root, [{ path, attrs }]);
      } catch (error) {
        this.#options.onProblem(problemOf(path, error));
      }
    }
    top.ended = true;
  }

  /** Opens a directory where that was not done, and reads some of it. */
  async #read(dir: Directory): Promise<void> {
    const session = this.#session;
    this.#open.add(dir);
    try {
      if (!dir.handle && this.#oneFileSystem) {
        const here = (await session.statvfs(dir.path)).fsid;
        dir.ended = dir.fsid !== null && dir.fsid !== here;
        dir.fsid = here;
        if (dir.ended) return;
      }
      if (!dir.handle && (await isMarked(session, dir.path, this.#selection.markers))) {
        dir.ended = true;
        return;
      }
      dir.handle ??= await session.opendir(dir.path);
    } catch (error) {
      dir.ended = true;
      this.#options.onProblem(problemOf(dir.path, error));
      return;
    }
    const { handle } = dir;
    // A directory that is read ahead is read to its end where it is small: what is left would cost a round trip when its turn comes.
    do {
      const failed = await this.#readOn(dir, handle);
      if (!failed) continue;
      dir.ended = true;
      this.#options.onProblem(failed);
    } while (!dir.ended && !this.#stopped && dir.entries.length < LOW && this.#held < HELD);
  }

  /** Reads some more names of an open directory. Gives what went wrong. */
  async #readOn(dir: Directory, handle: Buffer): Promise<PathProblem | null> {
    const batches = await Promise.allSettled(Array.from({ length: dir.requests }, () => this.#session.readdir(handle)));
    dir.requests = Math.min(dir.requests * 2, READDIRS_AHEAD);
    const found: { path: Buffer; attrs: Attrs }[] = [];
    let failed: PathProblem | null = null;
    for (const batch of batches) {
      if (batch.status === "rejected") failed ??= problemOf(dir.path, batch.reason);
      else if (batch.value === null) dir.ended = true;
      else found.push(...this.#named(dir.path, batch.value));
    }
    await this.#keep(dir, dir.root, found);
    return failed;
  }

  #close(dir: Directory): void {
    const { handle } = dir;
    this.#open.delete(dir);
    dir.handle = null;
    // What matters was read already; a link that broke shows itself elsewhere.
    if (handle) this.#session.closeHandle(handle).catch(() => {});
  }

  #named(dir: Buffer, batch: NamedAttrs[]): { path: Buffer; attrs: Attrs }[] {
    const found: { path: Buffer; attrs: Attrs }[] = [];
    const base = dir.length === 1 ? dir : Buffer.concat([dir, Buffer.from("/")]);
    for (const { name, attrs } of batch) {
      if (name.length === 1 && name[0] === 0x2e) continue;
      if (name.length === 2 && name[0] === 0x2e && name[1] === 0x2e) continue;
      const path = Buffer.concat([base, name]);
      if (name.length === 0 || name.includes(0) || name.includes(0x2f)) {
        this.#options.onProblem(problem(path, "name"));
      } else found.push({ path, attrs });
    }
    return found;
  }

  /** Keeps what is taken until it is its turn. */
  async #keep(dir: Directory, root: number, found: { path: Buffer; attrs: Attrs }[]): Promise<void> {
    const items = await Promise.all(found.map((one) => this.#item(root, one.path, one.attrs)));
    for (const item of items) {
      if (!item) continue;
      const below = item.type === "dir" ? new Directory(root, item.absolute, dir.fsid) : null;
      dir.entries.push({ item, dir: below });
      if (below) dir.dirs.push(below);
      this.#held += 1;
    }
  }

  async #item(root: number, absolute: Buffer, told: Attrs): Promise<WalkItem | null> {
    let attrs = told;
    try {
      if (kindOf(attrs) === "unknown") attrs = await this.#session.lstat(absolute);
      const type = kindOf(attrs);
      if (!this.#selection.takes(root, absolute, type === "dir")) return null;
      if (type === "other" || type === "unknown") {
        this.#options.onSpecial();
        return null;
      }
      const size = type === "file" ? (attrs.size ?? 0) : 0;
      const owned = ownership(attrs);
      if (!this.#selection.keeps({ type, size, mtimeNs: owned.mtimeNs })) return null;
      return {
        path: absolute.subarray(1),
        absolute,
        type,
        size,
        ...owned,
        attrs,
        ...(type === "symlink" && this.#options.readLinks
          ? { linkTarget: await this.#session.readlink(absolute) }
          : {}),
      };
    } catch (error) {
      this.#options.onProblem(problemOf(absolute, error));
      return null;
    }
  }
}
