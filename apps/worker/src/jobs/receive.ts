import type { ReceivePayload } from "@xvault/contracts";
import { runReceive } from "@xvault/engine";
import type { WorkerContext } from "../context.ts";
import type { HeldJob, JobOutcome } from "./run-job.ts";
import { openTargets } from "./targets.ts";

/** Makes a snapshot of one file whose bytes come in as a stream, wherever from. `onReceived`: all of them are there and right. */
export async function runReceiveJob(
  context: WorkerContext,
  job: Pick<HeldJob, "held" | "reporter" | "signal" | "onEnd"> & { payload: Omit<ReceivePayload, "type"> },
  body: AsyncIterable<Buffer>,
  onReceived: () => void = () => {},
): Promise<JobOutcome> {
  const { held, payload, reporter, signal } = job;
  const { everywhere, settle, ...targets } = await openTargets(context, job);
  const { result } = await runReceive({
    jobId: held.job_id,
    attempt: held.attempt,
    workerId: context.identity.workerId,
    payload,
    ...targets,
    body,
    onReceived,
    signer: { certificate: context.standing().certificate, privateKey: context.identity.key.privateKey },
    reporter,
    signal,
  });
  await settle();
  return { state: everywhere() ? "success" : "warning", result };
}
