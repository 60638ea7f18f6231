import { pathFromApi, pathToApi, type Ticket, type TreeEntry } from "@xvault/contracts";
import { XVaultError } from "@xvault/kernel";
import { readTree } from "../hub/worker-data.ts";

/** One entry of a snapshot, out of its parent's listing. @throws NOT_FOUND */
export async function statInTree(ticket: Ticket, path: string, signal?: AbortSignal): Promise<TreeEntry> {
  const bytes = pathFromApi(path);
  const slash = bytes.lastIndexOf("/");
  const parent = slash < 0 ? "/" : pathToApi(bytes.subarray(0, slash));
  const { entries } = await readTree(ticket, parent, signal);
  const entry = entries.find((one) => pathFromApi(one.path).equals(bytes));
  if (!entry) throw nothingAt(path);
  return entry;
}

export function nothingAt(path: string): XVaultError {
  return new XVaultError("NOT_FOUND", `The snapshot has nothing at ${path}.`, {
    fix: "List the snapshot to see what it holds: xvault ls SNAPSHOT.",
  });
}
