import { type Artifact, entryFromIndex, type IndexEntry, selectEntries } from "@xvault/archive";
import { type JobResult, pathFromApi } from "@xvault/contracts";
import { bodyLength, type TreeTarget, XVaultError } from "@xvault/kernel";
import type { Reporter } from "../progress.ts";

export interface RestoreRun {
  artifact: Artifact;
  /** As the API carries them; empty: everything. Each stands for the entry and all below it. */
  paths: string[];
  target: TreeTarget;
  reporter: Reporter;
  signal: AbortSignal;
}

/**
 * Writes the chosen entries of an unsealed snapshot to a target. A hard link whose content is not among the chosen entries is written as
 * a file of its own. Every file is checked against its hash in the index while it is written.
 *
 * @throws NOT_FOUND when a path names nothing in the snapshot; what the target refuses; ARTIFACT_CORRUPT.
 */
export async function runRestore(run: RestoreRun): Promise<Extract<JobResult, { type: "restore" }>> {
  const { artifact, target, reporter, signal } = run;
  const wanted = run.paths.map(pathFromApi).filter((path) => path.length > 0);
  const chosen = () => (wanted.length === 0 ? artifact.entries() : selectEntries(artifact.entries(), wanted));

  const survey = await surveyEntries(chosen(), wanted);
  reporter.expect(survey);

  let written = 0;
  let skipped = 0;
  let bytes = 0;
  let problems = 0;
  try {
    for await (const indexed of chosen()) {
      signal.throwIfAborted();
      const alone = indexed.type === "hardlink" ? survey.detached.get(entryKey(indexed)) : undefined;
      const source = alone ? await findEntry(artifact, alone) : indexed;
      const entry = { ...entryFromIndex(source), path: entryFromIndex(indexed).path };
      const body = entry.type === "file" ? artifact.body(source) : null;
      const outcome = await target.put(entry, body);
      if (outcome === "written") written += 1;
      else skipped += 1;
      if (indexed.problem) problems += 1;
      const size = bodyLength(entry);
      bytes += outcome === "written" ? size : 0;
      reporter.advance({ files: entry.type === "file" ? 1 : 0, bytes: size, path: `/${entry.path.toString("utf8")}` });
    }
    await target.finish();
  } catch (error) {
    await target.abort();
    throw error;
  }
  return { type: "restore", written, skipped, bytes, problems };
}

interface Survey {
  files: number;
  bytes: number;
  /** Chosen hard links whose content lies outside the choice: the link's key → the path that holds the content. */
  detached: Map<string, Buffer>;
}

/** First pass over the index: totals for the progress, unknown paths, and hard links that would dangle. */
async function surveyEntries(entries: AsyncIterable<IndexEntry>, wanted: Buffer[]): Promise<Survey> {
  const missing = new Set(wanted.map((path) => path.toString("latin1")));
  const detached: Survey["detached"] = new Map();
  let files = 0;
  let bytes = 0;
  for await (const indexed of entries) {
    const entry = entryFromIndex(indexed);
    if (missing.size > 0) {
      const key = entry.path.toString("latin1");
      for (const path of missing) if (key === path || key.startsWith(`${path}/`)) missing.delete(path);
    }
    if (entry.type === "file") files += 1;
    bytes += bodyLength(entry);
    if (entry.type === "hardlink" && wanted.length > 0 && entry.linkTarget && !covers(wanted, entry.linkTarget)) {
      detached.set(entryKey(indexed), entry.linkTarget);
    }
  }
  const [first] = missing;
  if (first !== undefined) {
    throw new XVaultError(
      "NOT_FOUND",
      `The snapshot has nothing at /${Buffer.from(first, "latin1").toString("utf8")}.`,
      {
        fix: "List the snapshot to see what it holds.",
      },
    );
  }
  return { files, bytes, detached };
}

function covers(wanted: Buffer[], path: Buffer): boolean {
  const text = path.toString("latin1");
  return wanted.some((one) => text === one.toString("latin1") || text.startsWith(`${one.toString("latin1")}/`));
}

function entryKey(entry: IndexEntry): string {
  return entryFromIndex(entry).path.toString("latin1");
}

async function findEntry(artifact: Artifact, path: Buffer): Promise<IndexEntry> {
  for await (const entry of artifact.entries()) {
    if (entry.type === "file" && entryFromIndex(entry).path.equals(path)) return entry;
  }
  throw new XVaultError("ARCHIVE_MALFORMED", "A hard link points to an entry that the snapshot does not have.");
}
