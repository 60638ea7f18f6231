import { lstat, mkdir } from "node:fs/promises";
import { XVaultError } from "@xvault/kernel";
import { showPath } from "../failures.ts";
import { systemCode } from "./fs-errors.ts";

/** Directories known to be real ones are remembered up to this number, so that memory does not follow the tree. */
const REMEMBERED = 8192;

/** Makes and checks the directories on the way to an entry. Only real directories are passed, never symbolic links. */
export class Parents {
  readonly #root: Buffer;
  readonly #known = new Set<string>();
  readonly #made = new Set<string>();

  /** `root` is absolute and ends with '/'. */
  constructor(root: Buffer) {
    this.#root = root;
  }

  /** Makes sure that every parent of `path` (relative to the root) is a directory. */
  async ensure(path: Buffer): Promise<void> {
    const last = path.lastIndexOf(0x2f);
    if (last < 0 || this.#known.has(path.toString("latin1", 0, last))) return;
    for (let slash = path.indexOf(0x2f); slash >= 0; slash = path.indexOf(0x2f, slash + 1)) {
      const parent = path.subarray(0, slash);
      const key = parent.toString("latin1");
      if (this.#known.has(key)) continue;
      await this.makeDirectory(parent);
      this.#remember(key);
    }
  }

  /** Makes one directory whose parents are ensured; true when it was not there before. */
  async makeDirectory(path: Buffer): Promise<boolean> {
    const full = Buffer.concat([this.#root, path]);
    try {
      await mkdir(full, 0o700);
      this.#made.add(path.toString("latin1"));
      return true;
    } catch (error) {
      if (systemCode(error) !== "EEXIST") throw error;
    }
    const found = await lstat(full);
    if (found.isDirectory()) return false;
    const data = { path: showPath(path) };
    if (found.isSymbolicLink()) throw new XVaultError("ENTRY_THROUGH_SYMLINK", undefined, { data });
    throw new XVaultError("ENTRY_CONFLICT", `'${showPath(path)}' is there already and is not a directory.`, { data });
  }

  /** True for a directory that was not there before this run. */
  made(path: Buffer): boolean {
    return this.#made.has(path.toString("latin1"));
  }

  #remember(key: string): void {
    if (this.#known.size >= REMEMBERED) this.#known.clear();
    this.#known.add(key);
  }
}
