import type { FileEntry } from "@xvault/kernel";
import { lstatSync, type Stats } from "node:fs";
import { realpath } from "node:fs/promises";

const SLASH = 0x2f;

/** What is done with the directories that a restore comes through. */
export interface Seen {
  /** A directory that was there before. `full` is its whole path. */
  there(full: Buffer): Promise<void>;
  /** One that is not there, so that the entry's coming makes it. `path` is below the root. */
  missing(path: Buffer): void;
}

/**
 * The directories on the way to entries, each looked at once, before anything is put into it. None is looked at behind a symbolic link: the
 * target refuses such a way itself. Memory follows the number of directories.
 */
export class OnTheWay {
  readonly #root: Buffer;
  readonly #seen: Seen;
  readonly #known = new Set<string>();

  /** `root`: see {@link realRoot}. */
  constructor(root: Buffer, seen: Seen) {
    this.#root = root;
    this.#seen = seen;
  }

  /** An entry that is about to be put; its path must have been found safe. */
  async come({ path, type }: Pick<FileEntry, "path" | "type">): Promise<void> {
    const last = type === "dir" ? path.length : path.lastIndexOf(SLASH);
    if (last < 0 || this.#known.has(path.toString("latin1", 0, last))) return;
    let isMissing = false;
    for (let end = nextSlash(path, 0, last); ; end = nextSlash(path, end + 1, last)) {
      const key = path.toString("latin1", 0, end);
      if (!this.#known.has(key)) {
        const directory = path.subarray(0, end);
        const full = Buffer.concat([this.#root, directory]);
        const found: Stats | undefined = isMissing ? undefined : look(full);
        if (found && !found.isDirectory()) return;
        if (found) await this.#seen.there(full);
        else this.#seen.missing(directory);
        isMissing = !found;
        this.#known.add(key);
      }
      if (end === last) return;
    }
  }
}

/** A directory of this machine as paths below it are put together: real, absolute, with '/' behind it. */
export async function realRoot(directory: string): Promise<Buffer> {
  return Buffer.concat([await realpath(directory, { encoding: "buffer" }), Buffer.from("/")]);
}

function nextSlash(path: Buffer, from: number, last: number): number {
  const found = path.indexOf(SLASH, from);
  return found < 0 || found > last ? last : found;
}

/** Undefined where nothing stands, or nothing that could be seen: then the target will say why. */
function look(full: Buffer): Stats | undefined {
  try {
    return lstatSync(full, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}
