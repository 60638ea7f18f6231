import { type ArtifactReader, checkEntry, type Selected, selectEntries } from "@xvault/archive";
import { type JobResult, pathFromApi } from "@xvault/contracts";
import { bodyLength, formatBytes, type TreeTarget, XVaultError } from "@xvault/kernel";
import type { Reporter } from "../progress.ts";
import { EntryBytes, type OnDamage } from "./damage.ts";
import { type Done, unpack } from "./from-tar.ts";
import { goOnIn } from "./go-on.ts";
import { removeLeftovers } from "./leftovers.ts";
import { OnTheWay, realRoot } from "./on-the-way.ts";
import { MissingPaths } from "./quote.ts";

interface AnyRun {
  target: TreeTarget;
  /** Where the target is a directory of this machine: its path. The restore goes on then from an attempt that broke off, see {@link goOnIn}. */
  localRoot?: string | undefined;
  reporter: Reporter;
  signal: AbortSignal;
}

export interface RestoreRun extends AnyRun {
  artifact: ArtifactReader;
  /** As the API carries them; empty: everything. Each stands for the entry and all below it. */
  paths: string[];
  /** The same place as one that writes nothing: asked what is there, where it would not hold everything. */
  dryTarget?: () => Promise<TreeTarget>;
  /** Asked about damage to the entries' bytes; without it, it ends the restore. Damage to the index always does. */
  onDamage?: OnDamage | undefined;
}

/** The same of a plain tar, which a worker has made of the entries that were chosen. */
export interface TarRun extends AnyRun {
  tar: AsyncIterable<Buffer>;
}

/**
 * Writes the chosen entries of an unsealed snapshot to a target. A hard link whose content is not among the chosen entries becomes a file
 * with that content. Every file is checked against its hash in the index while it is written. Files whose bytes lie in the artifacts of
 * earlier snapshots are read from there; each such artifact is opened and checked before the first byte is written. What is left out because of
 * `onDamage` counts neither as written nor as skipped.
 *
 * @throws NOT_FOUND when a path names nothing in the snapshot; SPACE_REQUIRED; what the target refuses; ARTIFACT_CORRUPT, ARTIFACT_MISSING and the
 * other errors of `CheckedSnapshot.earlier`; what is wrong with a tar; the signal's reason once it has aborted.
 */
export async function runRestore(run: RestoreRun | TarRun): Promise<Extract<JobResult, { type: "restore" }>> {
  const { signal, localRoot } = run;
  let { target } = run;
  const begin = async () => (target = localRoot === undefined ? target : await goOnIn(target, localRoot, signal));
  try {
    const done = "artifact" in run ? await fill(run, begin) : await unpack(run.tar, await begin(), run.reporter);
    await target.finish();
    return { type: "restore", ...done };
  } catch (error) {
    await target.abort(signal.aborted ? signal.reason : error);
    signal.throwIfAborted();
    throw error;
  } finally {
    if ("artifact" in run) run.artifact.release();
  }
}

async function fill(run: RestoreRun, begin: () => Promise<TreeTarget>): Promise<Done> {
  const { artifact, reporter, signal } = run;
  const wanted = run.paths.map(pathFromApi).filter((path) => path.length > 0);
  const done: Done = { written: 0, skipped: 0, bytes: 0, problems: 0 };
  const stored = new EntryBytes(artifact, run.onDamage);
  const { earlier, ...totals } = await survey(artifact, wanted);
  reporter.expect(totals);
  // Before anything is written: an artifact that is missing is not to be found out in the middle.
  await stored.prepare(earlier);
  await checkRoom(run, wanted, totals.bytes);
  const target = await begin();
  for await (const { entry, source } of selectEntries(() => artifact.entries(), wanted)) {
    signal.throwIfAborted();
    const outcome = await stored.put(target, { entry, source });
    const bytes = bodyLength(entry);
    if (outcome !== "left out") {
      done[outcome] += 1;
      if (source.problem) done.problems += 1;
      if (outcome === "written") done.bytes += bytes;
    }
    reporter.advance({ files: entry.type === "file" ? 1 : 0, bytes, path: `/${entry.path.toString("utf8")}` });
  }
  return done;
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
  const { artifact, target, dryTarget, localRoot, signal } = run;
  const freeBytes = async () => (await target.room?.())?.freeBytes ?? null;
  let free = await freeBytes();
  if (free === null || bytes <= free) return;
  const chosen = () => selectEntries(() => artifact.entries(), wanted);
  let needed = bytes;
  if (localRoot !== undefined) {
    await clearTheWay(localRoot, chosen(), signal);
    free = (await freeBytes()) ?? free;
  }
  if (dryTarget) {
    const dry = await dryTarget();
    needed = 0;
    for await (const { entry } of chosen()) {
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

/** What a killed attempt had not finished writing may be what takes the room. */
async function clearTheWay(root: string, chosen: AsyncIterable<Selected>, signal: AbortSignal): Promise<void> {
  const real = await realRoot(root);
  await removeLeftovers(real);
  const way = new OnTheWay(real, { there: removeLeftovers, missing: () => {} });
  for await (const { entry } of chosen) {
    signal.throwIfAborted();
    checkEntry(entry);
    await way.come(entry);
  }
}
