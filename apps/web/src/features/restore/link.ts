import type { RouteLocationRaw } from "vue-router";

/**
 * The restore page for entries of a snapshot; none means everything. The entries stand behind '#': thousands of them fit there, and
 * file names do not end in a server's log.
 */
export function restoreLink(snapshotId: string, paths: readonly string[]): RouteLocationRaw {
  return {
    path: "/restore",
    query: { snapshot: snapshotId },
    ...(paths.length > 0 ? { hash: `#${JSON.stringify(paths)}` } : {}),
  };
}

/** The entries that an address names. What is no list of texts counts as none. */
export function pathsOfHash(hash: string): string[] {
  try {
    const value: unknown = JSON.parse(hash.slice(1));
    return Array.isArray(value) ? value.filter((path) => typeof path === "string") : [];
  } catch {
    return [];
  }
}
