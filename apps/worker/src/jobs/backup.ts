import type { JobPayloadOf } from "@xvault/contracts";
import { keysOf, runBackup } from "@xvault/engine";
import { XVaultError } from "@xvault/kernel";
import type { WorkerContext } from "../context.ts";
import { locationOn, openStoreOfJob } from "../stores.ts";
import { connect } from "./connect.ts";
import { later } from "./later.ts";
import type { HeldJob, JobOutcome } from "./run-job.ts";

/** How long the answer to a publication is waited for after the job was told to end, in milliseconds. */
const ANSWER_GRACE = 15_000;

export async function runBackupJob(context: WorkerContext, job: HeldJob<JobPayloadOf<"backup">>): Promise<JobOutcome> {
  const { held, payload, reporter, signal } = job;
  const [first] = payload.storages;
  if (!first) throw new XVaultError("INTERNAL", "The job names no storage.");
  const store = await openStoreOfJob(context, held, first, signal);
  const { partial, result } = await runBackup({
    jobId: held.job_id,
    attempt: held.attempt,
    workerId: context.identity.workerId,
    payload,
    store,
    connect: () => connect(context, held, payload.connection, { signal, reporter, limits: payload.options }),
    planKey: async () => Buffer.from((await context.hub.insist("plan_key", held, signal)).key, "base64"),
    signer: { certificate: context.standing().certificate, privateKey: context.identity.key.privateKey },
    publish: async (manifest) => {
      const stored = [
        { storage_id: first.id, location: locationOn(context, first, keysOf(payload).dir), locked_until: null },
      ];
      // The hub's answer decides whether the files stay, so it is waited for even when the lease is lost meanwhile or the job cancelled.
      await context.hub.insist("publish", { ...held, manifest, stored }, later(signal, ANSWER_GRACE));
    },
    reporter,
    signal,
  });
  return { state: partial ? "warning" : "success", result };
}
