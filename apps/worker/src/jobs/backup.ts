import type { JobPayloadOf } from "@xvault/contracts";
import { runBackup } from "@xvault/engine";
import type { WorkerContext } from "../context.ts";
import { connect } from "./connect.ts";
import type { HeldJob, JobOutcome } from "./run-job.ts";
import { openTargets } from "./targets.ts";

export async function runBackupJob(context: WorkerContext, job: HeldJob<JobPayloadOf<"backup">>): Promise<JobOutcome> {
  const { held, payload, reporter, signal } = job;
  const { everywhere, settle, ...targets } = await openTargets(context, job);
  const { partial, result } = await runBackup({
    jobId: held.job_id,
    attempt: held.attempt,
    workerId: context.identity.workerId,
    payload,
    ...targets,
    connect: () => connect(context, held, payload.connection, { signal, reporter, limits: payload.options }),
    planKey: async () => Buffer.from((await context.hub.insist("plan_key", held, signal)).key, "base64"),
    signer: { certificate: context.standing().certificate, privateKey: context.identity.key.privateKey },
    reporter,
    signal,
  });
  await settle();
  return { state: partial || !everywhere() ? "warning" : "success", result };
}
