/** The folder among `roots` that `path` is or lies below, or null. Paths are absolute, without a trailing '/'. */
export function rootOf(roots: readonly string[], path: string): string | null {
  return roots.find((root) => root === path || root === "/" || path.startsWith(`${root}/`)) ?? null;
}

/** `roots` with `path` added; what lies below it is covered by it and goes. */
export function addPath(roots: readonly string[], path: string): string[] {
  if (rootOf(roots, path) !== null) return [...roots];
  return [...roots.filter((root) => rootOf([path], root) === null), path].sort();
}

/** True when something below `path` is chosen, but not `path` itself. */
export function holdsChosen(roots: readonly string[], path: string): boolean {
  return roots.some((root) => root !== path && rootOf([path], root) !== null);
}

/** `folder` and `name` as one path. */
export function joinPath(folder: string, name: string): string {
  return folder === "/" ? `/${name}` : `${folder}/${name}`;
}

/** What a person typed as a path, without double or trailing '/'; null when it is no absolute path or climbs. */
export function cleanTypedPath(text: string): string | null {
  const parts = text
    .trim()
    .split("/")
    .filter((part) => part !== "" && part !== ".");
  if (!text.trim().startsWith("/") || parts.includes("..") || text.includes("\0")) return null;
  return `/${parts.join("/")}`;
}
