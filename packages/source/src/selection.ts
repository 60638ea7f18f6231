import ignore, { type Ignore } from "ignore";
import { XVaultError } from "@xvault/kernel";

/** Paths of this many are matched before the matcher's cache is dropped, which otherwise grows with the tree. */
const CACHE_PATHS = 20_000;

/**
 * The bytes of an absolute path without double, trailing or '.' parts.
 *
 * @throws PATH_INVALID for what is relative, climbs, or holds a NUL
 */
export function cleanPath(path: string | Buffer): Buffer {
  const text = (typeof path === "string" ? Buffer.from(path) : path).toString("latin1");
  const parts = text.split("/").filter((part) => part !== "" && part !== ".");
  if (!text.startsWith("/") || text.includes("\0") || parts.includes("..")) {
    throw new XVaultError("PATH_INVALID", "The path is not an absolute path without '..'.");
  }
  return Buffer.from(`/${parts.join("/")}`, "latin1");
}

/** True when `path` is `root` or lies below it. */
export function isWithin(path: Buffer, root: Buffer): boolean {
  if (root.length === 1) return true;
  if (path.length < root.length || path.compare(root, 0, root.length, 0, root.length) !== 0) return false;
  return path.length === root.length || path[root.length] === 0x2f;
}

/**
 * Which of the things found below some roots are taken. A root that lies within another is a root of its own: patterns of the
 * outer one do not reach into it, and nothing is taken twice.
 */
export class Selection {
  readonly roots: readonly Buffer[];
  readonly #inner: readonly (readonly Buffer[])[];
  readonly #patterns: readonly string[];
  #matcher: Ignore | null = null;
  #matched = 0;

  constructor(paths: readonly (string | Buffer)[], excludes: readonly string[]) {
    const unique = new Map(paths.map((path) => [cleanPath(path).toString("latin1"), cleanPath(path)]));
    this.roots = [...unique.values()].sort((a, b) => a.compare(b));
    this.#inner = this.roots.map((root) => this.roots.filter((other) => other !== root && isWithin(other, root)));
    this.#patterns = excludes;
  }

  /** Whether `path`, found below the root of this index, is taken. A directory that is not is not descended into. */
  takes(root: number, path: Buffer, isDirectory: boolean): boolean {
    const base = this.roots[root];
    if (!base) return false;
    for (const other of this.#inner[root] ?? []) if (isWithin(path, other)) return false;
    if (this.#patterns.length === 0) return true;
    const relative = path.subarray(base.length === 1 ? 1 : base.length + 1);
    if (relative.length === 0) return true;
    if (!this.#matcher || ++this.#matched > CACHE_PATHS) {
      this.#matcher = ignore({ ignorecase: false, allowRelativePaths: true }).add([...this.#patterns]);
      this.#matched = 0;
    }
    return !this.#matcher.ignores(isDirectory ? `${relative.toString()}/` : relative.toString());
  }
}
