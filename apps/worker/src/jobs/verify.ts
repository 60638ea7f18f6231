import type { JobPayloadOf } from "@xvault/contracts";
import { runVerify } from "@xvault/engine";
import type { WorkerContext } from "../context.ts";
import { openStoreOfJob } from "../stores.ts";
import type { HeldJob, JobOutcome } from "./run-job.ts";
import { checkStored, unsealForJob } from "./unseal.ts";

/** Verifies a snapshot as deeply as its keys allow: content where the platform holds one, else every stored byte against the signed hashes. */
export async function runVerifyJob(context: WorkerContext, job: HeldJob<JobPayloadOf<"verify">>): Promise<JobOutcome> {
  const { held, payload, reporter, signal } = job;
  reporter.step("check", "Checking the snapshot's signature and block hashes.");
  const { store } = await openStoreOfJob(context, job, payload.storage);
  const checked = await checkStored(context, store, payload.snapshot);
  let artifact = null;
  if (payload.depth === "content") {
    reporter.step("unlock", "Asking the hub for the snapshot's file keys.");
    artifact = await unsealForJob(context, held, checked, signal);
  }
  reporter.step(
    "read",
    artifact ? "Reading every file and comparing it with the index." : "Reading every stored block.",
  );
  return { state: "success", result: await runVerify({ checked, artifact, reporter, signal }) };
}
