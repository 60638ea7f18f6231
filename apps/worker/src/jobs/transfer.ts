import type { JobPayloadOf } from "@xvault/contracts";
import { keysOf, runTransfer } from "@xvault/engine";
import type { WorkerContext } from "../context.ts";
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
  const result = await runTransfer({
    payload,
    from: await openStoreOfJob(context, held, payload.from, signal),
    to: await openStoreOfJob(context, held, payload.to, signal),
    rootKeys,
    signer: { workerId, certificate, privateKey: key.privateKey },
    onStored: async (place) => {
      const location = locationOn(context, payload.to, keysOf(place).dir);
      const { snapshot_id } = place;
      await context.hub.insist("stored", { ...held, snapshot_id, location, locked_until: null }, signal);
    },
    reporter,
    signal,
  });
  return { state: "success", result };
}
