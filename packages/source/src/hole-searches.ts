import type { FileEntry } from "@xvault/kernel";
import type { Listed } from "./find-list.ts";

const BLOCK = 512;
/** What tar reads through in no time anywhere. Bytes. */
const SMALL = 64 * 1024 * 1024;
/** tar sends 32 KiB at a time, and a sparse file is at least 2.5 KiB of that: so many may be read through before anything is sent. */
const IN_A_ROW = 13;

/**
 * The large files that occupy less than their size, because of holes or because their file system compresses. Where the file system does not
 * tell where holes are (NFS before 4.2, or a compressed file without any), tar reads such a file from end to end before it sends a byte of it.
 */
export class HoleSearches {
  readonly #ahead: { path: string; size: number }[] = [];

  /** Notes what tar is told to take, in that order. */
  add({ path, type, size, blocks = 0 }: Listed): void {
    // One that occupies nothing is taken for a single hole and not even opened.
    if (type !== "file" || size < SMALL || blocks === 0 || blocks >= size / BLOCK) return;
    this.#ahead.push({ path: path.toString("latin1"), size });
  }

  /** Notes what tar has sent the head of. */
  saw({ path, type, size }: FileEntry): void {
    if (this.#ahead.length === 0 || (type === "file" && size < SMALL) || type === "dir" || type === "symlink") return;
    const name = path.toString("latin1");
    const at = this.#ahead.findIndex((one) => one.path === name);
    // Those before it will not come any more.
    this.#ahead.splice(0, at + 1);
  }

  /** How much tar may read before it sends anything again. */
  get bytes(): number {
    return this.#ahead.slice(0, IN_A_ROW).reduce((sum, { size }) => sum + size, 0);
  }
}
