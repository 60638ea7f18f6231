import type { JobPayloadOf, JobResult } from "@xvault/contracts";
import { runCheck, runVerify } from "@xvault/engine";
import type { ObjectStore } from "@xvault/storage";
import type { WorkerContext } from "../context.ts";
import { openStoreOfJob } from "../stores.ts";
import type { HeldJob, JobOutcome } from "./run-job.ts";
import { checkStored, unsealForJob } from "./unseal.ts";

type Job = HeldJob<JobPayloadOf<"verify">>;

/** Checks a copy of a snapshot as deeply as is asked: the contents with file keys from the hub, everything else without any. */
export async function runVerifyJob(context: WorkerContext, job: Job): Promise<JobOutcome> {
  const { payload, reporter, signal } = job;
  const { store } = await openStoreOfJob(context, job, payload.storage);
  const { depth, share, lost_below: lostBelow, earlier } = payload;
  if (depth === "content") return { state: "success", result: await verifyContents(context, store, job) };
  const found = await runCheck({
    store,
    place: payload.snapshot,
    rootKeys: context.standing().root_keys,
    depth,
    share,
    lostBelow,
    earlier,
    reporter,
    signal,
  });
  return { state: "success", result: { type: "verify", files: 0, ...found } };
}

async function verifyContents(context: WorkerContext, store: ObjectStore, job: Job): Promise<JobResult> {
  const { held, payload, reporter, signal } = job;
  reporter.step("check", "Checking the snapshot's signature and block hashes.");
  const checked = await checkStored(context, store, payload.snapshot);
  reporter.step("unlock", "Asking the hub for the snapshot's file keys.");
  const artifact = await unsealForJob(context, held, checked, signal);
  reporter.step("read", "Reading every file and comparing it with the index.");
  return runVerify({ checked, artifact, reporter, signal });
}
