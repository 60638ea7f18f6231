import type { JobPayloadOf } from "@xvault/contracts";
import { runDrill } from "@xvault/engine";
import type { WorkerContext } from "../context.ts";
import { openStoreOfJob } from "../stores.ts";
import { VERSION } from "../version.ts";
import type { HeldJob, JobOutcome } from "./run-job.ts";
import { checkStored, unsealForJob } from "./unseal.ts";

/** Restores a snapshot to nowhere and hands the hub the signed statement of what came of it, also where that is a failure. */
export async function runDrillJob(context: WorkerContext, job: HeldJob<JobPayloadOf<"drill">>): Promise<JobOutcome> {
  const { held, payload, reporter, signal } = job;
  const { snapshot, storage, manifest_sha256, sequence, created_at, keys, mode, files } = payload;
  const { store } = await openStoreOfJob(context, job, storage);
  const { proof, failure } = await runDrill({
    subject: {
      ...snapshot,
      job_id: held.job_id,
      manifest_sha256,
      sequence,
      created_at,
      storage: { id: storage.id, kind: storage.place.kind },
      keys,
    },
    open: async () => {
      reporter.step("check", "Checking the snapshot's signature and block hashes.");
      const checked = await checkStored(context, store, snapshot);
      reporter.step("unlock", "Asking the hub for the snapshot's file keys.");
      return { checked, artifact: await unsealForJob(context, held, checked, signal) };
    },
    mode,
    files,
    signer: { kind: "worker", certificate: context.standing().certificate },
    privateKey: context.identity.key.privateKey,
    version: VERSION,
    reporter,
    signal,
  });
  const { proof_id } = await context.hub.insist("prove", { ...held, proof }, signal);
  if (failure) throw failure;
  const { restored, seconds } = proof;
  return { state: "success", result: { type: "drill", ...restored, seconds, proof_id } };
}
