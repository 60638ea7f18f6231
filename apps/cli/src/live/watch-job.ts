import type { Job, JobEvent } from "@xvault/contracts";
import { formatDuration, isXVaultError, shortId, XVaultError } from "@xvault/kernel";
import { setTimeout as sleep } from "node:timers/promises";
import { EXIT, exitCodeOf } from "../exit-codes.ts";
import type { HubApi } from "../hub/api.ts";
import type { Output } from "../output.ts";
import type { World } from "../world.ts";
import { createLiveView, type LiveView } from "./view.ts";

/** Milliseconds between two looks at a job. */
const POLL = 500;
/** A hub that restarts is waited for; a minute is ten times what a start takes. Milliseconds. */
const HUB_MAY_BE_AWAY = 60_000;

export function isOver(job: Job): boolean {
  return job.state !== "queued" && job.state !== "running";
}

/**
 * Follows a job to its end. The first Ctrl-C asks the hub to cancel it and waits for that; the second leaves it as it is.
 *
 * @throws CANCELLED after the second Ctrl-C; UNAVAILABLE when the hub stays away.
 */
export async function watchJob(world: World, output: Output, api: HubApi, job: Job): Promise<Job> {
  const view = createLiveView(world, output);
  const leave = new AbortController();
  let asked = false;
  const stop = world.onInterrupt(() => {
    if (asked) leave.abort();
    else {
      asked = true;
      view.remark("Cancelling … (Ctrl-C again leaves without waiting)");
      api.cancel(job.id).catch((error: unknown) => {
        if (!isXVaultError(error, "JOB_NOT_CANCELLABLE"))
          view.remark(`The job could not be cancelled: ${String(error)}`);
      });
    }
  });
  try {
    return await follow(api, job, view, leave.signal);
  } finally {
    stop();
    view.end();
  }
}

async function follow(api: HubApi, first: Job, view: LiveView, leave: AbortSignal): Promise<Job> {
  let job = first;
  let seen = 0;
  let attempt = job.attempt;
  let awaySince: number | null = null;
  const look = async () => {
    job = await api.job(first.id);
    for (let events = await api.jobEvents(job.id, seen); events.length > 0;) {
      for (const event of events) remarkEvent(view, event);
      seen = events.at(-1)?.id ?? seen;
      events = events.length < 500 ? [] : await api.jobEvents(job.id, seen);
    }
  };
  view.show(null);
  for (;;) {
    try {
      await look();
      awaySince = null;
    } catch (error) {
      if (!isXVaultError(error) || !error.retry) throw error;
      awaySince ??= Date.now();
      if (Date.now() - awaySince > HUB_MAY_BE_AWAY) throw error;
    }
    if (job.attempt > attempt && attempt > 0) view.remark(`Attempt ${job.attempt} of ${job.max_attempts}.`);
    attempt = job.attempt;
    if (isOver(job)) return job;
    if (job.state === "running" || job.progress) view.show(job.progress);
    await sleep(POLL, undefined, { signal: leave }).catch(() => {});
    if (leave.aborted) {
      throw new XVaultError("CANCELLED", `Left job ${shortId(job.id)} behind; the hub was asked to cancel it.`, {
        fix: `See what became of it: xvault jobs show ${shortId(job.id)}.`,
      });
    }
  }
}

function remarkEvent(view: LiveView, event: JobEvent): void {
  if (event.level === "info") view.remark(`${event.step}: ${event.message}`);
  else view.remark(`${event.level} in ${event.step}: ${event.message}`);
}

/** The last words on a job, and the exit code that they mean. */
export function concludeJob(
  output: Output,
  job: Job,
  options: { what: string; ids: object; text: (job: Job) => string },
): number {
  const seconds =
    job.started_at && job.finished_at ? (Date.parse(job.finished_at) - Date.parse(job.started_at)) / 1000 : null;
  output.message("summary", {
    job_id: job.id,
    state: job.state,
    ...options.ids,
    ...job.result,
    total_duration: seconds,
    ...(job.error ? { error: job.error } : {}),
  });
  if (job.state === "failed") throw failureOfJob(job);
  if (job.state === "cancelled") {
    throw new XVaultError("CANCELLED", `${options.what} was cancelled.`, { fix: "Start it again when you want it." });
  }
  output.line(`${options.text(job)}${seconds === null ? "" : `, ${formatDuration(seconds)}`}`);
  if (job.state !== "warning") return EXIT.ok;
  output.note(`It ended with warnings: see 'xvault jobs show ${shortId(job.id)}'.`);
  return EXIT.warning;
}

function failureOfJob(job: Job): XVaultError {
  if (!job.error) return new XVaultError("INTERNAL", "The job failed without saying why.");
  const step = job.progress?.step ? ` (step ${job.progress.step})` : "";
  return new XVaultError(job.error.code, `${job.error.message}${step}`, {
    fix: job.error.fix,
    retry: job.error.retry,
    data: { ...job.error.data, job_id: job.id, ...(job.error.requestId ? { request_id: job.error.requestId } : {}) },
  });
}

/** Exit code of a job that was over already when it was looked at. */
export function exitCodeOfJob(job: Job): number {
  if (job.state === "failed") return exitCodeOf(failureOfJob(job));
  if (job.state === "cancelled") return EXIT.cancelled;
  return job.state === "warning" ? EXIT.warning : EXIT.ok;
}
