import type { JobRow } from "@xvault/db";
import type { ServiceDeps } from "../deps.ts";
import { preferredWorker } from "./preferred.ts";

/**
 * Tells the workers that a job waits. A job whose time is yet to come is left to the sweeper, which announces it when it has come: when that is
 * stands in its row alone. Never throws: the row is the truth, and the sweeper announces again what nobody took.
 */
export async function announceJob(
  deps: Pick<ServiceDeps, "db" | "queue" | "feed" | "log" | "clock">,
  job: JobRow,
): Promise<void> {
  deps.feed.announce(job.id);
  if (job.runAfter > deps.clock.now()) return;
  try {
    const workerId = await preferredWorker(deps, job);
    await deps.queue.announce({ v: 1, jobId: job.id, attempt: job.attempt }, workerId === null ? {} : { workerId });
  } catch (error) {
    deps.log.warn({ err: error, jobId: job.id }, "the queue took no announcement; the sweeper will try again");
  }
}
