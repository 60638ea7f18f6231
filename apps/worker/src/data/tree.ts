import { type ArtifactReader, entryFromIndex, type IndexEntry, listDirectory } from "@xvault/archive";
import { pathFromApi, pathToApi, type Tree, type TreeEntry } from "@xvault/contracts";

const MAX_ENTRIES = 10_000;
const MAX_FOUND = 500;

/** Lists one directory of an opened snapshot. */
export async function listTree(artifact: ArtifactReader, path: string): Promise<Tree> {
  const at = pathFromApi(path);
  const { children } = await listDirectory(artifact.entries(), at);
  const entries = children.slice(0, MAX_ENTRIES).map((child): TreeEntry => {
    const full = at.length === 0 ? child.name : Buffer.concat([at, Buffer.from("/"), child.name]);
    const base = { path: pathToApi(full), name: child.name.toString("utf8"), type: child.type, size: child.size };
    const described = child.entry
      ? { ...base, ...facts(child.entry), size: child.size }
      : { ...base, mode: null, mtime: null };
    return child.type === "dir" ? { ...described, files: child.files } : described;
  });
  return { path: pathToApi(at), entries, truncated: children.length > MAX_ENTRIES };
}

/** Entries whose name holds `query`, upper and lower case alike. */
export async function searchTree(artifact: ArtifactReader, query: string): Promise<Tree> {
  const wanted = query.toLowerCase();
  const entries: TreeEntry[] = [];
  let truncated = false;
  for await (const line of artifact.entries()) {
    const { path } = entryFromIndex(line);
    const text = path.toString("utf8");
    const name = text.slice(text.lastIndexOf("/") + 1);
    if (!name.toLowerCase().includes(wanted)) continue;
    if (entries.length >= MAX_FOUND) {
      truncated = true;
      break;
    }
    entries.push({ path: pathToApi(path), name, type: line.type, size: line.size, ...facts(line) });
  }
  return { path: "/", entries, truncated };
}

function facts(line: IndexEntry) {
  const entry = entryFromIndex(line);
  const ms = Number(entry.mtimeNs / 1_000_000n);
  return {
    mode: entry.mode,
    // What lies outside the range of dates that JavaScript knows is not shown.
    mtime: Math.abs(ms) <= 8.64e15 ? new Date(ms).toISOString() : null,
    ...(line.sha256 ? { sha256: line.sha256 } : {}),
    ...(entry.linkTarget ? { link: entry.linkTarget.toString("utf8") } : {}),
    ...(line.problem ? { problem: line.problem } : {}),
  };
}
