import type { JobPayloadOf, StorageCheck, StorageRef } from "@xvault/contracts";
import { probeStore } from "@xvault/storage";
import type { WorkerContext } from "../context.ts";
import { openStoreOfJob } from "../stores.ts";
import type { HeldJob, JobOutcome } from "./run-job.ts";

/** Tries a storage: whether it can be written to, read back, listed, removed from, and whether what it locks stays. */
export async function runStorageTest(
  context: WorkerContext,
  job: HeldJob<JobPayloadOf<"storage_test">>,
): Promise<JobOutcome> {
  const { payload, reporter } = job;
  reporter.step("connect", "Trying the storage.");
  const lock = payload.storage.place.kind === "s3" ? payload.storage.place.config.lock : null;
  const { store, bucket } = await openStoreOfJob(context, job, unlocked(payload.storage));
  const checks: StorageCheck[] = [];
  for await (const { code: _, ...check } of probeStore(bucket ?? store, { lock: lock?.mode ?? null })) {
    checks.push(check);
    reporter.info(`${check.label}: ${check.message}`);
  }
  const locked = checks.some((check) => check.id === "lock" && check.status === "ok");
  return { state: "success", result: { type: "storage_test", checks, locked } };
}

/** What a test writes must go again. */
function unlocked(ref: StorageRef): StorageRef {
  if (ref.place.kind !== "s3") return ref;
  return { ...ref, place: { ...ref.place, config: { ...ref.place.config, lock: null } } };
}
