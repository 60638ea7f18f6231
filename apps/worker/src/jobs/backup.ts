import type { JobPayloadOf } from "@xvault/contracts";
import { keysOf, runBackup } from "@xvault/engine";
import { join } from "node:path";
import type { WorkerContext } from "../context.ts";
import { connect } from "./connect.ts";
import type { HeldJob, JobOutcome } from "./run-job.ts";

export async function runBackupJob(context: WorkerContext, job: HeldJob<JobPayloadOf<"backup">>): Promise<JobOutcome> {
  const { held, payload, reporter, signal } = job;
  const { partial, result } = await runBackup({
    jobId: held.job_id,
    attempt: held.attempt,
    workerId: context.identity.workerId,
    payload,
    store: context.store,
    connect: () => connect(context, held, payload.connection, { signal, reporter }),
    signer: { certificate: context.standing().certificate, privateKey: context.identity.key.privateKey },
    publish: async (manifest) => {
      const local_path = join(context.config.storagePath, keysOf(payload).dir);
      await context.hub.insist("publish", { ...held, manifest, local_path }, signal);
    },
    reporter,
    signal,
  });
  return { state: partial ? "warning" : "success", result };
}
