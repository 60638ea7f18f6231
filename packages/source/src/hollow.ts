import { isXVaultError, type PathProblem } from "@xvault/kernel";
import { problem } from "./diagnostics.ts";
import type { Listed } from "./find-list.ts";
import type { Link } from "./link.ts";
import { runRemote, splitNul, throughXargs } from "./remote-process.ts";

/** tar takes what is smaller as it is. */
const BLOCK = 512;
const MOST = 10_000;
/** So much of each is looked at. Bytes. */
const LOOK = 64 * 1024;
/** Prints a NUL byte for each path, in front of it the path where it holds something: a word for each that was looked at. */
const SCRIPT = `for p do test "$(head -c ${LOOK} -- "$p" 2>/dev/null | tr -d "\\0" | wc -c)" -gt 0 && printf "%s" "$p"; printf "\\0"; done`;

/**
 * Files that occupy no block by their file system's word. tar stores them as one hole without opening them, which is right for a file that is
 * one, and loses the content where the file system does not count blocks (sysfs, some network and FUSE ones).
 */
export class Hollow {
  readonly #paths: Buffer[] = [];

  add({ absolute, type, size, blocks }: Listed): void {
    if (type === "file" && blocks === 0 && size >= BLOCK && this.#paths.length < MOST) this.#paths.push(absolute);
  }

  /** Those among them that begin with something else than zeros. */
  async wrong(link: Link, signal: AbortSignal): Promise<PathProblem[]> {
    if (this.#paths.length === 0) return [];
    const found: PathProblem[] = [];
    try {
      const process = await runRemote(link, throughXargs(SCRIPT), {
        does: "looks into files that occupy nothing (head)",
        limitMs: ({ answer }) => answer,
        signal,
      });
      await process.write(Buffer.concat(this.#paths.flatMap((path) => [path, Buffer.from([0])])));
      process.endInput();
      for await (const path of splitNul(process.stdout)) {
        if (path.length > 0) found.push(problem(Buffer.from(path), "unreadable", WHY));
      }
    } catch (error) {
      // All was read; what cannot be looked at is what it seems to be.
      if (isXVaultError(error, "CANCELLED")) throw error;
    }
    return found;
  }
}

const WHY = "its file system counts no blocks, so tar took it for a hole; the transport 'sftp' reads it";
