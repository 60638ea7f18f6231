import type { ArtifactWriter } from "@xvault/archive";
import { bodyLength, type FileEntry } from "@xvault/kernel";
import type { PullPlan, ScanItem, SourceConnection } from "@xvault/source";
import type { KnownFile, Plan } from "../plan/plan.ts";
import type { Reporter } from "../progress.ts";

/** Files that are in the snapshot without having been pulled. */
export interface Unchanged {
  files: number;
  bytes: number;
}

/** Lists the source to learn how much has to be pulled. The counts of what has not changed start at zero: the pull counts what it sees. */
export async function survey(run: {
  plan: Plan;
  connection: SourceConnection;
  what: PullPlan;
  reporter: Reporter;
  signal: AbortSignal;
}): Promise<Unchanged> {
  const { plan, connection, what, reporter, signal } = run;
  if (!plan.incremental) {
    const totals = await connection.measure(what, undefined, { signal });
    reporter.expect(totals);
    reporter.info(`${totals.files} files found.`);
    return { files: 0, bytes: 0 };
  }
  const changed = { files: 0, bytes: 0 };
  let files = 0;
  for await (const item of connection.scan(what, { signal })) {
    if (item.type !== "file") continue;
    files += 1;
    if (isComparable(item) && plan.known(item)) continue;
    changed.files += 1;
    changed.bytes += item.size;
  }
  reporter.expect(changed);
  reporter.info(`${files} files found, ${changed.files} of them new or changed.`);
  return { files: 0, bytes: 0 };
}

/**
 * Lets a pull take what is new or changed, and enters the rest in the index at once. Directories and symbolic links are taken always: they
 * cost a header, and each artifact unpacks to a tree by itself.
 */
export function selectChanged(
  plan: Plan,
  archive: Pick<ArtifactWriter, "refer">,
  unchanged: Unchanged,
): (item: ScanItem) => boolean | Promise<boolean> {
  return (item) => {
    if (item.type !== "file") return true;
    if (!isComparable(item)) return true;
    const known = plan.known(item);
    if (!known) {
      plan.expect(item);
      return true;
    }
    const entry = entryOf(item, known);
    plan.keep(item, bodyLength(entry));
    unchanged.files += 1;
    unchanged.bytes += item.size;
    return archive.refer(entry, known).then(() => false);
  };
}

/** A file with several names is packed with all of them, in one artifact, or stock tar could not link them. */
function isComparable(item: ScanItem): boolean {
  return item.nlink === undefined || item.nlink === 1;
}

function entryOf(item: ScanItem, known: KnownFile): FileEntry {
  const entry: FileEntry = {
    path: item.path,
    type: "file",
    size: item.size,
    mode: item.mode,
    uid: item.uid,
    gid: item.gid,
    mtimeNs: item.mtimeNs,
  };
  if (item.uname !== undefined) entry.uname = item.uname;
  if (item.gname !== undefined) entry.gname = item.gname;
  if (known.sparse) entry.sparse = known.sparse;
  return entry;
}
