import { type ArtifactReader, selectEntries } from "@xvault/archive";
import { type JobResult, pathFromApi } from "@xvault/contracts";
import { bodyLength, formatBytes, type TreeTarget, XVaultError } from "@xvault/kernel";
import type { Reporter } from "../progress.ts";
import { MissingPaths } from "./quote.ts";

export interface RestoreRun {
  artifact: ArtifactReader;
  /** As the API carries them; empty: everything. Each stands for the entry and all below it. */
  paths: string[];
  target: TreeTarget;
  /** The same place as one that writes nothing: asked what is there, where it would not hold everything. */
  dryTarget?: () => Promise<TreeTarget>;
  reporter: Reporter;
  signal: AbortSignal;
}

/**
 * Writes the chosen entries of an unsealed snapshot to a target. A hard link whose content is not among the chosen entries becomes a file
 * with that content. Every file is checked against its hash in the index while it is written. Files whose bytes lie in the artifacts of
 * earlier snapshots are read from there; each such artifact is opened and checked before the first byte is written.
 *
 * @throws NOT_FOUND when a path names nothing in the snapshot; SPACE_REQUIRED; what the target refuses; ARTIFACT_CORRUPT, ARTIFACT_MISSING and the
 * other errors of `CheckedSnapshot.earlier`; the signal's reason once it
 * has aborted.
 */
export async function runRestore(run: RestoreRun): Promise<Extract<JobResult, { type: "restore" }>> {
  const { artifact, target, reporter, signal } = run;
  const wanted = run.paths.map(pathFromApi).filter((path) => path.length > 0);
  const done = { written: 0, skipped: 0, bytes: 0, problems: 0 };
  try {
    const { earlier, ...totals } = await survey(artifact, wanted);
    reporter.expect(totals);
    // Before anything is written: an artifact that is missing is not to be found out in the middle.
    await artifact.prepare(earlier);
    await checkRoom(run, wanted, totals.bytes);
    for await (const { entry, source } of selectEntries(() => artifact.entries(), wanted)) {
      signal.throwIfAborted();
      const outcome = await target.put(entry, entry.type === "file" ? artifact.body(source) : null, source.sha256);
      done[outcome] += 1;
      if (source.problem) done.problems += 1;
      const bytes = bodyLength(entry);
      if (outcome === "written") done.bytes += bytes;
      reporter.advance({ files: entry.type === "file" ? 1 : 0, bytes, path: `/${entry.path.toString("utf8")}` });
    }
    await target.finish();
  } catch (error) {
    await target.abort(signal.aborted ? signal.reason : error);
    signal.throwIfAborted();
    throw error;
  } finally {
    artifact.release();
  }
  return { type: "restore", ...done };
}

/** Totals of what was chosen, the earlier snapshots that hold some of it, and a complaint about a path that names nothing. */
async function survey(
  artifact: ArtifactReader,
  wanted: Buffer[],
): Promise<{ files: number; bytes: number; earlier: Set<string> }> {
  const missing = new MissingPaths(wanted);
  let files = 0;
  let bytes = 0;
  const earlier = new Set<string>();
  for await (const { entry, source } of selectEntries(() => artifact.entries(), wanted)) {
    if (entry.type === "file") files += 1;
    bytes += bodyLength(entry);
    if (source.snapshot !== undefined) earlier.add(source.snapshot);
    missing.see(entry.path);
  }
  missing.complain();
  return { files, bytes, earlier };
}

/**
 * Refuses a restore for which the target clearly has no room, before the first byte is written rather than at the last. Where all of it would
 * not fit, what is there already is looked at: it may stay, or make room.
 *
 * @throws SPACE_REQUIRED
 */
async function checkRoom(run: RestoreRun, wanted: Buffer[], bytes: number): Promise<void> {
  const { artifact, target, dryTarget, signal } = run;
  const free = (await target.room?.())?.freeBytes ?? null;
  if (free === null || bytes <= free) return;
  let needed = bytes;
  if (dryTarget) {
    const dry = await dryTarget();
    needed = 0;
    for await (const { entry } of selectEntries(() => artifact.entries(), wanted)) {
      signal.throwIfAborted();
      if ((await dry.put(entry, null)) === "written") needed += bodyLength(entry);
    }
    needed -= (await dry.room?.())?.replacedBytes ?? 0;
  }
  if (needed <= free) return;
  throw new XVaultError(
    "SPACE_REQUIRED",
    `The restore needs ${formatBytes(needed)}, and the target has ${formatBytes(free)} left.`,
    { fix: "Free some space on the target, choose another one, or restore less.", data: { needed, free } },
  );
}
