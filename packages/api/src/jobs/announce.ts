import type { JobRow } from "@xvault/db";
import type { WorkerId } from "@xvault/kernel";
import type { ServiceDeps } from "../deps.ts";

/** Tells the workers that a job waits. Never throws: the row is the truth, and the sweeper announces again what nobody took. */
export async function announceJob(
  deps: Pick<ServiceDeps, "queue" | "feed" | "log" | "clock">,
  job: JobRow,
): Promise<void> {
  deps.feed.announce(job.id);
  const delayMs = Math.max(0, job.runAfter.getTime() - deps.clock.now().getTime());
  try {
    await deps.queue.announce(
      { v: 1, jobId: job.id, attempt: job.attempt },
      { delayMs, ...(job.targetWorkerId ? { workerId: job.targetWorkerId as WorkerId } : {}) },
    );
  } catch (error) {
    deps.log.warn({ err: error, jobId: job.id }, "the queue took no announcement; the sweeper will try again");
  }
}
