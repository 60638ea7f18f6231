import ignore from "ignore";
import { rootOf } from "./path-selection.ts";

/**
 * Which pattern leaves an entry out of the backup, or null when it is taken. Speaks the same pattern language as the worker:
 * gitignore's, relative to each chosen path; a chosen path itself is always taken.
 */
export function excludedBy(
  roots: readonly string[],
  patterns: readonly string[],
  path: string,
  isDirectory: boolean,
): string | null {
  const root = rootOf(roots, path);
  if (root === null || root === path || patterns.length === 0) return null;
  const relative = path.slice(root === "/" ? 1 : root.length + 1) + (isDirectory ? "/" : "");
  const matcher = (some: readonly string[]) => ignore({ ignorecase: false, allowRelativePaths: true }).add([...some]);
  if (!matcher(patterns).ignores(relative)) return null;
  return patterns.findLast((pattern) => matcher([pattern]).ignores(relative)) ?? null;
}

/** The pattern that leaves out just this entry. Characters with a meaning in patterns are escaped. */
export function patternFor(roots: readonly string[], path: string): string | null {
  const root = rootOf(roots, path);
  if (root === null || root === path) return null;
  const relative = path.slice(root === "/" ? 1 : root.length + 1);
  return `/${relative.replace(/[\\*?[\]!#]| $/g, (character) => `\\${character}`)}`;
}
