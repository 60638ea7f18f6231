import { treeSchema, type Ticket, type Tree } from "@xvault/contracts";
import { api } from "../../lib/api.ts";
import { errorOfResponse } from "../../lib/errors.ts";

/** A ticket is replaced when it has less than this left. Milliseconds. */
const SPARE = 10_000;
/** Sizes of entries in more folders than these are not asked for. */
const MAX_PARENTS = 20;

/** Reads a snapshot's file tree straight from the worker that holds it; the hub gives the ticket and carries no file names. */
export function createSnapshotFiles(snapshotId: string) {
  let ticket: Promise<Ticket> | null = null;

  async function validTicket(): Promise<Ticket> {
    const present = await ticket?.catch(() => null);
    if (present && new Date(present.expires_at).getTime() - Date.now() > SPARE) return present;
    ticket = api.snapshots.browseTicket.mutate({ snapshot_id: snapshotId });
    return ticket;
  }

  async function ask(path: string, signal: AbortSignal): Promise<Tree> {
    const { ticket: token, data_url } = await validTicket();
    const response = await fetch(`${data_url}${path}`, { headers: { authorization: `Bearer ${token}` }, signal });
    if (response.status === 401) ticket = null;
    if (!response.ok) throw await errorOfResponse(response);
    return treeSchema.parse(await response.json());
  }

  const list = (path: string, signal: AbortSignal) => ask(`/v1/tree?path=${encodeURIComponent(path)}`, signal);

  /** Sizes of entries in all, with what lies below them; null where it would take too many questions to know. */
  async function sizeOf(paths: readonly string[], signal: AbortSignal): Promise<number | null> {
    // A path that is not UTF-8 has no parent that can be cut off as text.
    if (paths.some((path) => !path.startsWith("/"))) return null;
    const parents = Map.groupBy(paths, (path) => path.slice(0, path.lastIndexOf("/")) || "/");
    if (parents.size > MAX_PARENTS) return null;
    let sum = 0;
    for (const [parent, wanted] of parents) {
      const { entries, truncated } = await list(parent, signal);
      const found = entries.filter((entry) => wanted.includes(entry.path));
      if (truncated && found.length < wanted.length) return null;
      for (const entry of found) sum += entry.size;
    }
    return sum;
  }

  return {
    sizeOf,
    /** The entries directly below a folder; '/' is the snapshot's root. */
    list,
    /** Entries of the whole snapshot whose names match. */
    search: (text: string, signal: AbortSignal) => ask(`/v1/search?q=${encodeURIComponent(text)}`, signal),
  };
}
