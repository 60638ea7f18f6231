import { XVaultError, type PathProblem } from "@xvault/kernel";
import { AsyncQueue } from "../async-queue.ts";
import { problem } from "../diagnostics.ts";
import type { ListOptions, Listed } from "../find-list.ts";
import { Selection } from "../selection.ts";
import type { PullPlan } from "../types.ts";
import { type Attrs, kindOf } from "./packets.ts";
import { type NamedAttrs, type SftpSession, problemOf } from "./session.ts";

/** As the walk finds it, with what SFTP tells of it. */
export interface WalkItem extends Listed {
  attrs: Attrs;
  linkTarget?: Buffer | undefined;
}

/** Beyond this many directories that wait, a directory being read is set aside until those below it are done. */
const PENDING = 5_000;
const DIRECTORIES_AT_ONCE = 64;
const READDIRS_AHEAD = 16;

interface Task {
  root: number;
  path: Buffer;
  fsid: string | null;
  /** An open directory that was set aside. */
  handle?: Buffer;
}

/** As `resolveRoots` of the tar transport, over SFTP. */
export async function resolveRootsBySftp(session: SftpSession, plan: PullPlan): Promise<Selection> {
  const given = new Selection(plan.paths, plan.excludes);
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
  const found = extra.flat();
  return found.length === 0 ? given : new Selection([...given.roots, ...found], plan.excludes);
}

/**
 * Lists what a plan takes over SFTP: parents before children, many directories at once, memory bounded by the depth of the tree.
 *
 * @throws CONNECTION_LOST, CANCELLED
 */
export async function* walk(
  session: SftpSession,
  selection: Selection,
  oneFileSystem: boolean,
  options: ListOptions & { readLinks: boolean },
): AsyncGenerator<WalkItem, void, undefined> {
  const queue = new AsyncQueue<WalkItem>(2_000);
  const walker = new Walker(session, selection, oneFileSystem && session.has("statvfs@openssh.com"), options, queue);
  const cancel = () => queue.fail(new XVaultError("CANCELLED"));
  options.signal?.addEventListener("abort", cancel, { once: true });
  if (options.signal?.aborted) cancel();
  walker.start();
  try {
    yield* queue;
  } finally {
    options.signal?.removeEventListener("abort", cancel);
    walker.stop();
  }
}

class Walker {
  readonly #session: SftpSession;
  readonly #selection: Selection;
  readonly #oneFileSystem: boolean;
  readonly #options: ListOptions & { readLinks: boolean };
  readonly #queue: AsyncQueue<WalkItem>;
  readonly #tasks: Task[] = [];
  #active = 0;
  #stopped = false;

  constructor(
    session: SftpSession,
    selection: Selection,
    oneFileSystem: boolean,
    options: ListOptions & { readLinks: boolean },
    queue: AsyncQueue<WalkItem>,
  ) {
    this.#session = session;
    this.#selection = selection;
    this.#oneFileSystem = oneFileSystem;
    this.#options = options;
    this.#queue = queue;
  }

  start(): void {
    this.#run(() => this.#roots());
  }

  stop(): void {
    this.#stopped = true;
    this.#tasks.length = 0;
  }

  #run(work: () => Promise<void>): void {
    this.#active += 1;
    work()
      .catch((error: unknown) => {
        this.stop();
        this.#queue.fail(error);
      })
      .finally(() => {
        this.#active -= 1;
        this.#pump();
      });
  }

  #pump(): void {
    while (!this.#stopped && this.#active < DIRECTORIES_AT_ONCE) {
      const task = this.#tasks.pop();
      if (!task) break;
      this.#run(() => this.#directory(task));
    }
    if (this.#active === 0 && this.#tasks.length === 0) this.#queue.end();
  }

  async #roots(): Promise<void> {
    for (const [root, path] of this.#selection.roots.entries()) {
      try {
        const attrs = await this.#session.lstat(path);
        if (!this.#selection.takes(root, path, kindOf(attrs) === "dir")) continue;
        await this.#emit({ root, path, fsid: null }, [{ path, attrs }]);
      } catch (error) {
        this.#options.onProblem(problemOf(path, error));
      }
    }
  }

  async #directory(task: Task): Promise<void> {
    const session = this.#session;
    let { fsid, handle } = task;
    try {
      if (this.#oneFileSystem && !handle) {
        const here = (await session.statvfs(task.path)).fsid;
        if (fsid !== null && fsid !== here) return;
        fsid = here;
      }
      handle ??= await session.opendir(task.path);
    } catch (error) {
      this.#options.onProblem(problemOf(task.path, error));
      return;
    }
    const here: Task = { root: task.root, path: task.path, fsid };
    let ahead = 2;
    for (let ended = false; !ended && !this.#stopped; ahead = Math.min(ahead * 2, READDIRS_AHEAD)) {
      const open = handle;
      const batches = await Promise.allSettled(Array.from({ length: ahead }, () => session.readdir(open)));
      const found: { path: Buffer; attrs: Attrs }[] = [];
      let failed: PathProblem | null = null;
      for (const batch of batches) {
        if (batch.status === "rejected") failed ??= problemOf(task.path, batch.reason);
        else if (batch.value === null) ended = true;
        else found.push(...this.#named(task, batch.value));
      }
      await this.#emit(here, found);
      if (failed) {
        this.#options.onProblem(failed);
        break;
      }
      if (!ended && this.#tasks.length > PENDING) {
        // Deepest first: this one goes on when what it has found so far is done.
        const at = this.#tasks.length - found.length;
        this.#tasks.splice(Math.max(0, at), 0, { ...here, handle: open });
        return;
      }
    }
    await session.closeHandle(handle).catch((error: unknown) => problemOf(task.path, error));
  }

  #named(task: Task, batch: NamedAttrs[]): { path: Buffer; attrs: Attrs }[] {
    const found: { path: Buffer; attrs: Attrs }[] = [];
    const base = task.path.length === 1 ? task.path : Buffer.concat([task.path, Buffer.from("/")]);
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

  /** Passes on what is taken, and puts the directories among it on the list of those to read. */
  async #emit(task: Task, found: { path: Buffer; attrs: Attrs }[]): Promise<void> {
    const items = await Promise.all(found.map((one) => this.#item(task.root, one.path, one.attrs)));
    for (const item of items) {
      if (!item || this.#stopped) continue;
      if (item.path.length > 0) await this.#queue.push(item);
      if (item.type === "dir") this.#tasks.push({ ...task, path: item.absolute });
    }
    this.#pump();
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
      return {
        path: absolute.subarray(1),
        absolute,
        type,
        size: type === "file" ? (attrs.size ?? 0) : 0,
        mtimeNs: BigInt(attrs.mtime ?? 0) * 1_000_000_000n,
        attrs,
        linkTarget: type === "symlink" && this.#options.readLinks ? await this.#session.readlink(absolute) : undefined,
      };
    } catch (error) {
      this.#options.onProblem(problemOf(absolute, error));
      return null;
    }
  }
}
