import { XVaultError, type EntryType, type FileEntry } from "@xvault/kernel";
import { showPath } from "../failures.ts";
import { entryFromIndex, indexPath, type IndexEntry } from "./entry.ts";

/** One name in a directory. */
export interface IndexChild {
  name: Buffer;
  /** A directory may be implied by what lies in it: then `entry` is missing. */
  type: EntryType;
  entry?: IndexEntry;
  /** Logical bytes of the file, or of all files below the directory. */
  size: number;
  /** Entries below; 0 for what is not a directory. */
  count: number;
  /** Files below, hard links included; 0 for what is not a directory. */
  files: number;
}

export interface IndexDirectory {
  /** What stands at the path itself; null for the root and for implied directories. */
  self: IndexEntry | null;
  /** Sorted by bytes. */
  children: IndexChild[];
}

/**
 * What lies directly in `path` (empty: the root), with sizes and counts of everything below. One pass; memory follows the number of children.
 *
 * @throws NOT_FOUND when nothing stands at the path.
 */
export async function listDirectory(entries: AsyncIterable<IndexEntry>, path: Buffer): Promise<IndexDirectory> {
  const prefix = path.length === 0 ? path : Buffer.concat([path, Buffer.from("/")]);
  const children = new Map<string, IndexChild>();
  let self: IndexEntry | null = null;
  for await (const entry of entries) {
    const bytes = indexPath(entry);
    if (bytes.equals(path)) {
      self = entry;
      continue;
    }
    if (bytes.length <= prefix.length || !bytes.subarray(0, prefix.length).equals(prefix)) continue;
    const slash = bytes.indexOf(0x2f, prefix.length);
    const name = bytes.subarray(prefix.length, slash < 0 ? undefined : slash);
    const key = name.toString("latin1");
    let child = children.get(key);
    if (!child) children.set(key, (child = { name, type: "dir", size: 0, count: 0, files: 0 }));
    child.size += entry.size;
    if (slash < 0) {
      child.type = entry.type;
      child.entry = entry;
    } else {
      child.count += 1;
      if (entry.type === "file" || entry.type === "hardlink") child.files += 1;
    }
  }
  if (self === null && children.size === 0 && path.length > 0) {
    throw new XVaultError("NOT_FOUND", `Nothing in this snapshot is named '${showPath(path)}'.`);
  }
  return { self, children: [...children.values()].sort((a, b) => Buffer.compare(a.name, b.name)) };
}

/** Something to restore: what to make, and the index line whose bytes it gets. They differ only for hard links, see {@link selectEntries}. */
export interface Selected {
  entry: FileEntry;
  source: IndexEntry;
}

/**
 * The entries at the given paths and everything below them; everything when no path is given (or the empty one). In the order
 * of the index.
 *
 * A hard link whose content lies outside the selection becomes a file with that content (a second link to the same content then links
 * to the first), so every selection can be restored. For this the index is read twice, unless everything is selected.
 */
export async function* selectEntries(
  entries: () => AsyncIterable<IndexEntry>,
  paths: readonly Buffer[],
): AsyncGenerator<Selected, void, undefined> {
  if (paths.length === 0 || paths.some((path) => path.length === 0)) {
    for await (const source of entries()) yield { entry: entryFromIndex(source), source };
    return;
  }
  const isWanted = pathFilter(paths);
  const orphans = new Map<string, Buffer>();
  for await (const line of entries()) {
    if (line.type !== "hardlink") continue;
    const path = indexPath(line);
    const target = linkOf(line);
    if (!isWanted(path) || isWanted(target)) continue;
    if (!orphans.has(target.toString("latin1"))) orphans.set(target.toString("latin1"), path);
  }
  for await (const source of entries()) {
    const path = indexPath(source);
    if (isWanted(path)) {
      const adopted = source.type === "hardlink" ? orphans.get(linkOf(source).toString("latin1")) : undefined;
      if (!adopted) yield { entry: entryFromIndex(source), source };
      else if (!adopted.equals(path)) yield { entry: { ...entryFromIndex(source), linkTarget: adopted }, source };
      continue;
    }
    const heir = orphans.get(path.toString("latin1"));
    if (heir) yield { entry: { ...entryFromIndex(source), path: heir }, source };
  }
}

function linkOf(line: IndexEntry): Buffer {
  return line.link !== undefined ? Buffer.from(line.link, "utf8") : Buffer.from(line.link_b64 ?? "", "base64");
}

/** True for a path that is among `paths` or below one of them. Looks at as many parents as there are lengths in `paths`, however deep a path is. */
function pathFilter(paths: readonly Buffer[]): (path: Buffer) => boolean {
  const wanted = new Set(paths.map((path) => path.toString("latin1")));
  const lengths = [...new Set(paths.map((path) => path.length))];
  return (path) => {
    const text = path.toString("latin1");
    return lengths.some(
      (length) => (text.length === length || text[length] === "/") && wanted.has(text.slice(0, length)),
    );
  };
}
