import { type FileEntry, isXVaultError, type PathProblem } from "@xvault/kernel";
import type { Link } from "./link.ts";
import { runRemote, splitNul } from "./remote-process.ts";
import type { BrokenFile } from "./types.ts";

const REMEMBERED = 4_096;
const SUSPECTS = 10_000;
// No single quotes inside: see `runRemote`.
const LOOK_AGAIN = 'exec xargs -0 -r sh -c "exec find -P \\"\\$@\\" -maxdepth 0 -printf \\"%s %T@ %p\\\\0\\"" find';

/**
 * What tar calls "changed as we read it": files whose ctime moved. A new link, owner or mode moves it too, and a directory's moves with its
 * names, of which each is taken by itself; so a file counts as changed only when its size or mtime is not what was stored.
 */
export class Suspects {
  readonly #suspects = new Map<string, { problem: PathProblem; stored: string | null }>();
  /** The last entries: tar's line may come before its entry is parsed, or somewhat after. */
  readonly #recent = new Map<string, string>();

  /** False when there are too many to be looked at again. */
  add(problem: PathProblem): boolean {
    const path = problem.path.toString("latin1");
    if (this.#suspects.size >= SUSPECTS) return false;
    this.#suspects.set(path, { problem, stored: this.#recent.get(path) ?? null });
    return true;
  }

  saw({ path, type, size, mtimeNs }: FileEntry): void {
    const key = `/${path.toString("latin1")}`;
    const stored = type === "dir" ? "dir" : `${size} ${mtimeNs}`;
    const suspect = this.#suspects.get(key);
    if (suspect) suspect.stored = stored;
    this.#recent.set(key, stored);
    if (this.#recent.size <= REMEMBERED) return;
    for (const oldest of this.#recent.keys()) {
      this.#recent.delete(oldest);
      break;
    }
  }

  /** Those that could not be looked at again. What had not come yet is left out: it will be read anew, or not at all. */
  doubtful(): { problem: PathProblem; file: BrokenFile }[] {
    return [...this.#suspects.values()].flatMap(({ problem, stored }) => {
      if (stored === null || stored === "dir") return [];
      const [size, mtimeNs = 0] = stored.split(" ");
      return [{ problem, file: { path: problem.path.subarray(1), size: Number(size), mtimeNs: BigInt(mtimeNs) } }];
    });
  }

  /** Those that did change, or of which it cannot be told. */
  async confirmed(link: Link, signal: AbortSignal): Promise<PathProblem[]> {
    for (const [path, { stored }] of this.#suspects) if (stored === "dir") this.#suspects.delete(path);
    if (this.#suspects.size === 0) return [];
    try {
      const process = await runRemote(link, LOOK_AGAIN, { signal });
      await process.write(Buffer.from([...this.#suspects.keys(), ""].join("\0"), "latin1"));
      process.endInput();
      for await (const record of splitNul(process.stdout)) {
        const [, size = "", seconds = "", fraction = "", path = ""] =
          /^(\d+) (-?\d+)\.(\d{9})\d* (.*)$/s.exec(record.toString("latin1")) ?? [];
        const mtimeNs = BigInt(seconds || 0) * 1_000_000_000n + BigInt(fraction || 0);
        if (this.#suspects.get(path)?.stored === `${size} ${mtimeNs}`) this.#suspects.delete(path);
      }
    } catch (error) {
      // All was read; what cannot be looked at again stays suspected.
      if (isXVaultError(error, "CANCELLED")) throw error;
    }
    return [...this.#suspects.values()].map(({ problem }) => problem);
  }
}
