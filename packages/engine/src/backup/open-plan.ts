import { recipientFingerprint } from "@xvault/crypto";
import { isXVaultError, systemClock } from "@xvault/kernel";
import type { SourceConnection } from "@xvault/source";
import { keysOf } from "../place.ts";
import { createPlan, loadState, type Plan } from "../plan/plan.ts";
import type { PlanState } from "../plan/state-file.ts";
import type { BackupRun } from "./run.ts";

/** What changed so shortly before the run may change again without a new time: file systems stamp by ticks, SFTP tells whole seconds. */
const SETTLED_NS = 2_000_000_000n;
/** Where the source's own clock is not known, it may be off by this. */
const UNKNOWN_CLOCK_NS = 60_000_000_000n;

/** Prepares a run's plan: an incremental one from the state of the snapshot that the hub names, or else a full one; says which and why. */
export async function openPlan(run: BackupRun, connection: SourceConnection): Promise<Plan> {
  const { payload, reporter } = run;
  const key = await run.planKey();
  const recipients = await Promise.all(payload.recipients.map((recipient) => recipientFingerprint(recipient)));
  const state = await findState(run, key);
  const now = BigInt((run.clock ?? systemClock).now().getTime()) * 1_000_000n;
  const plan = createPlan({
    key,
    place: payload,
    recipients,
    state,
    manifestSha256: payload.previous?.manifest_sha256 ?? null,
    missing: state ? await missingArtifacts(run, state) : new Set(),
    settledBefore: connection.clock ? connection.clock.atNs - SETTLED_NS : now - UNKNOWN_CLOCK_NS,
  });
  if (state && !plan.incremental) reporter.info("Everything is pulled: the workspace's recipients have changed.");
  key.fill(0);
  return plan;
}

async function findState(run: BackupRun, key: Buffer): Promise<PlanState | null> {
  const { payload, store, reporter } = run;
  if (payload.base === null || payload.previous?.snapshot_id !== payload.base) return null;
  const { plan } = keysOf({ ...payload, snapshot_id: payload.base });
  try {
    if (!(await store.stat(plan))) {
      reporter.info("Everything is pulled: what the last run knew of the source is not on this storage.");
      return null;
    }
    const state = await loadState(await store.reader(plan), key);
    if (state.head.snapshot_id === payload.base) return state;
    reporter.warning("Everything is pulled: the plan state on the storage belongs to another snapshot.");
  } catch (error) {
    // A state that cannot be read costs a full run and nothing else.
    if (!isXVaultError(error)) throw error;
    reporter.warning(`Everything is pulled: ${error.message}`);
  }
  return null;
}

/** Artifacts that the state builds on and that are gone. Their files are pulled as if they had changed. */
async function missingArtifacts(run: BackupRun, state: PlanState): Promise<Set<string>> {
  const missing = new Set<string>();
  for (const { snapshot_id } of state.head.artifacts) {
    const { manifest, artifact } = keysOf({ ...run.payload, snapshot_id });
    if ((await run.store.stat(manifest)) && (await run.store.stat(artifact))) continue;
    missing.add(snapshot_id);
    run.reporter.warning(`The artifact of snapshot ${snapshot_id} is missing: the files in it are pulled anew.`);
  }
  return missing;
}

/** Removes the state of the snapshot before: the new one has its own. What cannot be removed is only in the way. */
export async function forgetState(run: BackupRun): Promise<void> {
  const { payload, store } = run;
  if (!payload.previous) return;
  await store.remove(keysOf({ ...payload, snapshot_id: payload.previous.snapshot_id }).plan).catch(() => {});
}
