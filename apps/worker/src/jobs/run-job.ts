import type { JobMessage, JobPayload, JobResult } from "@xvault/contracts";
import { createReportLog, type Reporter } from "@xvault/engine";
import { isXVaultError, toXVaultError, XVaultError } from "@xvault/kernel";
import type { WorkerContext } from "../context.ts";
import { runAuditArchiveJob } from "./audit-archive.ts";
import { runBackupJob } from "./backup.ts";
import { runDrillJob } from "./drill.ts";
import { runExpireJob } from "./expire.ts";
import { keepLease } from "./lease.ts";
import { runQuestion } from "./questions.ts";
import { runQuoteJob, runRestoreJob } from "./restore.ts";
import { runStorageTest } from "./storage-test.ts";
import { runTransferJob } from "./transfer.ts";
import { runVerifyJob } from "./verify.ts";

/** A job that this worker holds: what to do, under which attempt, where to say how it goes. */
export interface HeldJob<T = JobPayload> {
  held: { job_id: string; attempt: number };
  payload: T;
  reporter: Reporter;
  /** Aborts when the job is cancelled, the lease is lost or the worker stops; its reason says which. */
  signal: AbortSignal;
  /** Has something done when the job has ended, in whatever way. */
  onEnd(work: () => void): void;
}

export interface JobOutcome {
  state: "success" | "warning";
  result: JobResult;
}

/** Follows up a hint from the queue: asks for the lease and, if it is granted, does the job and tells the hub how it ended. */
export async function runJob(context: WorkerContext, message: JobMessage, stopping: AbortSignal): Promise<void> {
  const lease = await context.hub.insist("lease", { job_id: message.jobId }, stopping);
  if (lease.granted) await runHeld(context, lease, stopping, (job) => perform(context, job));
}

/**
 * Does a job that was leased and tells the hub how it ended. Where `stopping` aborts, the job is handed back, to be begun anew.
 *
 * @returns why it did not come to its end; nothing where it did
 */
export async function runHeld<T extends { type: string }>(
  context: WorkerContext,
  lease: HeldJob["held"] & { payload: T },
  stopping: AbortSignal,
  work: (job: HeldJob<T>) => Promise<JobOutcome>,
): Promise<XVaultError | undefined> {
  const { hub, log } = context;
  const held = { job_id: lease.job_id, attempt: lease.attempt };
  const jobLog = log.child({ jobId: held.job_id, attempt: held.attempt, type: lease.payload.type });
  jobLog.info("job begun");

  const report = createReportLog();
  const ending: (() => void)[] = [];
  const keeper = keepLease(hub, held, report, stopping);
  try {
    const outcome = await work({
      held,
      payload: lease.payload,
      reporter: report.reporter,
      signal: keeper.signal,
      onEnd: (work) => void ending.push(work),
    });
    await keeper.stop();
    await hub.insist("complete", { ...held, ...outcome, error: null, events: report.takeEvents() });
    jobLog.info({ state: outcome.state }, "job done");
    return undefined;
  } catch (error) {
    await keeper.stop();
    const reason: unknown = keeper.signal.aborted ? keeper.signal.reason : error;
    if (isXVaultError(reason, "LEASE_LOST")) {
      jobLog.warn("the lease was lost; the attempt was dropped");
      return reason;
    }
    if (stopping.aborted && !isXVaultError(reason, "CANCELLED")) {
      await hub
        .call("release", held)
        .catch((failed: unknown) => jobLog.warn({ err: failed }, "the job could not be handed back"));
      jobLog.info("job handed back");
      return toXVaultError(stopping.reason);
    }
    const failure = toXVaultError(reason);
    const cancelled = failure.code === "CANCELLED";
    if (!cancelled) report.reporter.error(`${failure.message} ${failure.fix}`);
    const step = report.progress().step;
    jobLog.warn({ err: failure, step }, cancelled ? "job cancelled" : "job failed");
    const { requestId: _, ...facts } = failure.report();
    await hub
      .insist("complete", {
        ...held,
        state: cancelled ? "cancelled" : "failed",
        result: null,
        error: { ...facts, data: { ...facts.data, step } },
        events: report.takeEvents(),
      })
      .catch((lost: unknown) => {
        if (!isXVaultError(lost, "LEASE_LOST")) throw lost;
      });
    return failure;
  } finally {
    for (const work of ending) work();
  }
}

function perform(context: WorkerContext, job: HeldJob): Promise<JobOutcome> {
  const { payload } = job;
  switch (payload.type) {
    case "backup":
      return runBackupJob(context, { ...job, payload });
    case "restore":
      return runRestoreJob(context, { ...job, payload });
    case "verify":
      return runVerifyJob(context, { ...job, payload });
    case "transfer":
      return runTransferJob(context, { ...job, payload });
    case "drill":
      return runDrillJob(context, { ...job, payload });
    case "expire":
      return runExpireJob(context, { ...job, payload });
    case "audit_archive":
      return runAuditArchiveJob(context, { ...job, payload });
    case "quote":
      return runQuoteJob(context, { ...job, payload });
    case "preflight":
    case "browse":
    case "probe":
      return runQuestion(context, { ...job, payload });
    case "storage_test":
      return runStorageTest(context, { ...job, payload });
    default:
      throw new XVaultError("INTERNAL", "The hub sent a job of a kind that this worker does not know.");
  }
}
