import { JOB_STEPS, type Job } from "@xvault/contracts";

export type StepState = "done" | "active" | "waiting" | "failed" | "warning" | "skipped";

/** From pulling to storing everything runs at once, as one stream: these steps are active together. */
const STREAM: readonly string[] = ["pull", "pack", "encrypt", "store"];

/** Of a package whose client sends its bytes to a worker; of one that it only reports on, nobody sees more than the first. */
const SENT: readonly string[] = [...JOB_STEPS.ingest, "verify", "publish"];

/**
 * What each step of a job has come to.
 *
 * @param lastStep the step of the newest event or progress; a job that has not begun has none
 */
export function stepStates(
  job: Pick<Job, "type" | "state"> & Partial<Pick<Job, "worker_id">>,
  lastStep: string | null,
): { step: string; state: StepState }[] {
  const isSent = job.type === "ingest" && typeof job.worker_id === "string";
  const steps: readonly string[] = isSent ? SENT : JOB_STEPS[job.type];
  const at = lastStep === null ? -1 : steps.indexOf(lastStep);
  return steps.map((step, index) => ({ step, state: stateOf(job, steps, index, at) }));
}

function stateOf(job: Pick<Job, "state">, steps: readonly string[], index: number, at: number): StepState {
  if (job.state === "success" || job.state === "warning") return "done";
  if (job.state === "queued" || at < 0)
    return job.state === "failed" && index === 0 ? "failed" : isEnded(job) ? "skipped" : "waiting";
  const together = STREAM.includes(steps[index] ?? "") && STREAM.includes(steps[at] ?? "");
  if (job.state === "running") return together || index === at ? "active" : index < at ? "done" : "waiting";
  if (index === at) return job.state === "failed" ? "failed" : "skipped";
  return index < at && !together ? "done" : "skipped";
}

function isEnded(job: Pick<Job, "state">): boolean {
  return job.state === "failed" || job.state === "cancelled";
}
