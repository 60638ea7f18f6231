import { type FileEntry, isXVaultError, type PathProblem } from "@xvault/kernel";
import type { Link } from "./link.ts";
import { runRemote, splitNul } from "./remote-process.ts";
import type { BrokenFile } from "./types.ts";

interface Seen extends Pick<FileEntry, "type" | "size" | "mtimeNs"> {
  /** Latin1, without the leading '/'. */
  path: string;
}

/** What is compared, as one text. */
function storedAs({ type, size, mtimeNs }: Seen): string {
  return type === "dir" ? "dir" : `${size} ${mtimeNs}`;
}

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
  /** The last entries, in a ring: tar's line may come before its entry is parsed, or somewhat after. */
  readonly #recent: Seen[] = [];
  #next = 0;

  /** False when there are too many to be looked at again. */
  add(problem: PathProblem): boolean {
    const path = problem.path.toString("latin1");
    if (this.#suspects.size >= SUSPECTS) return false;
    const name = path.slice(1);
    const seen = this.#recent.find((one) => one.path === name);
    this.#suspects.set(path, { problem, stored: seen ? storedAs(seen) : null });
    return true;
  }

  saw(entry: FileEntry): void {
    const { type, size, mtimeNs } = entry;
    // The text and not the bytes, which may be a part of much larger ones.
    const seen: Seen = { path: entry.path.toString("latin1"), type, size, mtimeNs };
    if (this.#suspects.size > 0) {
      const suspect = this.#suspects.get(`/${seen.path}`);
      if (suspect) suspect.stored = storedAs(seen);
    }
    this.#recent[this.#next] = seen;
    this.#next = (this.#next + 1) % REMEMBERED;
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
      const process = await runRemote(link, LOOK_AGAIN, {
        does: "looks again at files that changed (find)",
        limitMs: ({ list }) => list,
        signal,
      });
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
