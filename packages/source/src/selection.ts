import { XVaultError } from "@xvault/kernel";
import { Patterns } from "./gitignore.ts";
import type { PullPlan, ScanItem } from "./types.ts";

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

/** The part of a plan that says what is left out. */
export type Filter = Pick<
  PullPlan,
  | "excludes"
  | "excludeIfPresent"
  | "minFileBytes"
  | "maxFileBytes"
  | "newerThanSeconds"
  | "olderThanSeconds"
  | "agesFromNs"
>;

const SECOND = 1_000_000_000n;

/**
 * Which of the things found below some roots are taken. A root that lies within another is a root of its own: patterns of the
 * outer one do not reach into it, and nothing is taken twice.
 */
export class Selection {
  readonly roots: readonly Buffer[];
  /** Names by which a directory says that it is to be taken as an empty one. */
  readonly markers: readonly string[];
  readonly #inner: readonly (readonly Buffer[])[];
  readonly #filter: Filter;
  readonly #patterns: Patterns;
  /** Whole seconds since 1970, both included: SFTP knows no others. */
  readonly #oldest: bigint | null;
  readonly #youngest: bigint | null;

  constructor(paths: readonly (string | Buffer)[], filter: Filter) {
    const unique = new Map(paths.map((path) => [cleanPath(path).toString("latin1"), cleanPath(path)]));
    this.roots = [...unique.values()].sort((a, b) => a.compare(b));
    this.#inner = this.roots.map((root) => this.roots.filter((other) => other !== root && isWithin(other, root)));
    this.#filter = filter;
    this.#patterns = new Patterns(filter.excludes);
    this.markers = filter.excludeIfPresent ?? [];
    const from = seconds(filter.agesFromNs ?? BigInt(Date.now()) * 1_000_000n);
    this.#oldest = filter.newerThanSeconds == null ? null : from - BigInt(filter.newerThanSeconds);
    this.#youngest = filter.olderThanSeconds == null ? null : from - BigInt(filter.olderThanSeconds);
  }

  /** The same with further roots. */
  with(more: readonly Buffer[]): Selection {
    return more.length === 0 ? this : new Selection([...this.roots, ...more], this.#filter);
  }

  /** Whether `path`, found below the root of this index in a directory that is taken, is taken. A directory that is not is not descended into. */
  takes(root: number, path: Buffer, isDirectory: boolean): boolean {
    const base = this.roots[root];
    if (!base) return false;
    for (const other of this.#inner[root] ?? []) if (isWithin(path, other)) return false;
    const relative = path.toString("latin1", base.length === 1 ? 1 : base.length + 1);
    return relative === "" || !this.#patterns.excludes(relative, isDirectory);
  }

  /** As `takes`, of a path of which it is not known whether the directories above it are taken. */
  reaches(root: number, path: Buffer, isDirectory: boolean): boolean {
    const base = this.roots[root]?.length ?? 0;
    for (let at = path.indexOf(0x2f, base + 1); at > 0; at = path.indexOf(0x2f, at + 1)) {
      if (!this.takes(root, path.subarray(0, at), true)) return false;
    }
    return this.takes(root, path, isDirectory);
  }

  /** Whether what was found is taken by its size and age. Both are limits for regular files alone. */
  keeps({ type, size, mtimeNs }: Pick<ScanItem, "type" | "size" | "mtimeNs">): boolean {
    if (type !== "file") return true;
    const { minFileBytes, maxFileBytes } = this.#filter;
    if (minFileBytes != null && size < minFileBytes) return false;
    if (maxFileBytes != null && size > maxFileBytes) return false;
    if (this.#oldest === null && this.#youngest === null) return true;
    const at = seconds(mtimeNs);
    return (this.#oldest === null || at >= this.#oldest) && (this.#youngest === null || at <= this.#youngest);
  }
}

/** Rounded down, before 1970 too. */
function seconds(ns: bigint): bigint {
  return ns / SECOND - (ns % SECOND < 0n ? 1n : 0n);
}
