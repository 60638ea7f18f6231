import { pathFromApi, pathToApi, type Ticket, type Tree, type TreeEntry } from "@xvault/contracts";
import { isXVaultError, XVaultError } from "@xvault/kernel";
import { readTree } from "../hub/worker-data.ts";

/** What lies at a path of a snapshot: the children of a directory, or the one entry itself. @throws NOT_FOUND */
export async function treeAt(ticket: Ticket, path: string, signal?: AbortSignal): Promise<Tree> {
  const tree = await listing(ticket, path, path, signal);
  if (tree.entries.length > 0 || path === "/") return tree;
  const self = await statInTree(ticket, path, signal);
  return self.type === "dir" ? tree : { ...tree, entries: [self] };
}

/** One entry of a snapshot, out of its parent's listing. @throws NOT_FOUND */
export async function statInTree(ticket: Ticket, path: string, signal?: AbortSignal): Promise<TreeEntry> {
  const bytes = pathFromApi(path);
  const slash = bytes.lastIndexOf("/");
  const parent = slash < 0 ? "/" : pathToApi(bytes.subarray(0, slash));
  const { entries } = await listing(ticket, parent, path, signal);
  const entry = entries.find((one) => pathFromApi(one.path).equals(bytes));
  if (!entry) throw nothingAt(path);
  return entry;
}

async function listing(ticket: Ticket, path: string, wanted: string, signal: AbortSignal | undefined): Promise<Tree> {
  try {
    return await readTree(ticket, path, signal);
  } catch (error) {
    throw isXVaultError(error, "NOT_FOUND") ? nothingAt(wanted) : error;
  }
}

function nothingAt(path: string): XVaultError {
  return new XVaultError("NOT_FOUND", `The snapshot has nothing at ${path}.`, {
    fix: "List the snapshot to see what it holds: xvault ls SNAPSHOT.",
  });
}
