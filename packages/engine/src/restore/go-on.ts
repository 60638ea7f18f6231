import { checkEntry, createLocalTarget } from "@xvault/archive";
import type { FileEntry, TreeTarget } from "@xvault/kernel";
import { lstatSync, readdirSync } from "node:fs";
import { removeLeftovers } from "./leftovers.ts";
import { MadeDirectories } from "./made-directories.ts";
import { OnTheWay, realRoot } from "./on-the-way.ts";

/** As a target on this machine makes directories, until `finish` sets their own mode. */
const UNFINISHED = 0o700;

/**
 * Makes a restore to a directory of this machine one that goes on where an attempt before it was killed or failed:
 *
 * - files that such an attempt had not finished writing are removed from the directories that entries are put into;
 * - directories that it made are given mode, owner and time in the end under the policy 'never' too, where they still are as it left them. Which
 *   they are is noted in a file in `root` until the restore is over. A directory that anybody else made, or has changed since, is not touched.
 *
 * @param target the directory at `root`, as `createLocalTarget` opened it
 */
export async function goOnIn(target: TreeTarget, root: string, signal: AbortSignal): Promise<TreeTarget> {
  const real = await realRoot(root);
  await removeLeftovers(real);
  // Opened when it is needed; it sets directories as the target does, whatever was there.
  const unfinished = () => createLocalTarget(root, { overwrite: "always", signal });
  return new ContinuedTarget(target, real, unfinished);
}

class ContinuedTarget implements TreeTarget {
  readonly #target: TreeTarget;
  readonly #root: Buffer;
  readonly #openUnfinished: () => Promise<TreeTarget>;
  readonly #made: MadeDirectories;
  readonly #way: OnTheWay;
  /** For the directories alone that an earlier attempt made. */
  #unfinished: TreeTarget | null = null;

  constructor(target: TreeTarget, root: Buffer, openUnfinished: () => Promise<TreeTarget>) {
    this.#target = target;
    this.#root = root;
    this.#openUnfinished = openUnfinished;
    this.#made = new MadeDirectories(root);
    this.#way = new OnTheWay(root, { there: removeLeftovers, missing: (path) => this.#made.note(path) });
  }

  async put(entry: FileEntry, body: AsyncIterable<Buffer> | null, sha256?: string): Promise<"written" | "skipped"> {
    // Before anything is looked at: a path may lead out of the root.
    checkEntry(entry);
    // The snapshot of a server on which a restore broke off has such a file itself: it is data, and goes before.
    if (this.#made.isAt(entry.path)) this.#made.remove();
    await this.#way.come(entry);
    const outcome = await this.#target.put(entry, body, sha256);
    if (outcome === "written" || entry.type !== "dir" || !this.#isUnfinished(entry.path)) return outcome;
    this.#unfinished ??= await this.#openUnfinished();
    return this.#unfinished.put(entry, null);
  }

  #isUnfinished(path: Buffer): boolean {
    if (!this.#made.has(path)) return false;
    const found = lstatSync(Buffer.concat([this.#root, path]), { throwIfNoEntry: false });
    return found !== undefined && found.isDirectory() && (found.mode & 0o777) === UNFINISHED;
  }

  async room() {
    return (await this.#target.room?.()) ?? { exists: true, freeBytes: null, replacedBytes: 0 };
  }

  async finish(): Promise<void> {
    await this.#target.finish();
    // Behind it: what this attempt made lies in what one before it made, never the reverse.
    await this.#unfinished?.finish();
    this.#made.remove();
  }

  async abort(error?: unknown): Promise<void> {
    this.#made.close();
    // Before the target, which may take its root away where nothing was put into it.
    if (this.#holdsNothing()) this.#made.remove();
    await this.#unfinished?.abort(error);
    await this.#target.abort(error);
  }

  #holdsNothing(): boolean {
    try {
      return readdirSync(this.#root, { encoding: "buffer" }).every((name) => this.#made.isAt(name));
    } catch {
      return false;
    }
  }
}
