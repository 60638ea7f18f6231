import type { JobPayloadOf } from "@xvault/contracts";
import { runExpire } from "@xvault/engine";
import type { WorkerContext } from "../context.ts";
import { openStoreOfJob } from "../stores.ts";
import type { HeldJob, JobOutcome } from "./run-job.ts";

/** Removes a snapshot that the hub does not show any more. */
export async function runExpireJob(context: WorkerContext, job: HeldJob<JobPayloadOf<"expire">>): Promise<JobOutcome> {
  const { payload, reporter, signal } = job;
  const { store } = await openStoreOfJob(context, job, payload.storage);
  const { workerId, key } = context.identity;
  const signer = { workerId, certificate: context.standing().certificate, privateKey: key.privateKey };
  return {
    state: "success",
    result: await runExpire({ payload, store, signer, reporter, signal }),
  };
}
