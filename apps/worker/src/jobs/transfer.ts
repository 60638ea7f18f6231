import type { JobPayloadOf } from "@xvault/contracts";
import { keysOf, runTransfer } from "@xvault/engine";
import type { WorkerContext } from "../context.ts";
import { lockNeeded, lockSnapshot } from "../locks.ts";
import { locationOn, openStoreOfJob } from "../stores.ts";
import type { HeldJob, JobOutcome } from "./run-job.ts";

/** Copies or moves a snapshot to another storage. */
export async function runTransferJob(
  context: WorkerContext,
  job: HeldJob<JobPayloadOf<"transfer">>,
): Promise<JobOutcome> {
  const { held, payload, reporter, signal } = job;
  const { workerId, key } = context.identity;
  const { certificate, root_keys: rootKeys } = context.standing();
  const from = await openStoreOfJob(context, job, payload.from);
  const to = await openStoreOfJob(context, job, payload.to);
  const locked_until = to.lockedUntil?.toISOString() ?? null;
  const result = await runTransfer({
    payload,
    from: from.store,
    to: to.store,
    rootKeys,
    signer: { workerId, certificate, privateKey: key.privateKey },
    onStored: async (place, manifest) => {
      // What lay there already was locked by the clock of the run that wrote it.
      await lockSnapshot(to, place);
      await lockNeeded(to, place, manifest);
      const location = locationOn(context, payload.to, keysOf(place).dir);
      const { snapshot_id } = place;
      await context.hub.insist("stored", { ...held, snapshot_id, location, locked_until }, signal);
    },
    reporter,
    signal,
  });
  if (payload.kept)
    reporter.info(
      "The copy that was to go stays for now: later snapshots beside it use its data. It goes by itself once they have gone.",
    );
  return { state: "success", result };
}
