import { type Job, type JobEvent, jobProgressSchema, errorReportSchema, jobStatus } from "@xvault/contracts";
import type { JobEventRow, JobRow } from "@xvault/db";

/** A job row as the API shows it. `source` is its source's row where it has one. */
export function toJob(row: JobRow, source: { name: string; edgeId: string | null } | null): Job {
  const progress = jobProgressSchema.nullable().catch(null).parse(row.progress);
  const done = row.state === "success" || row.state === "warning";
  const result = row.result;
  const params = row.params as { path?: unknown; paths?: unknown; tier?: unknown };
  const touched = [row.finishedAt, row.heartbeatAt, row.startedAt].find((time) => time !== null) ?? row.createdAt;
  return {
    id: row.id,
    job_id: row.id,
    type: row.type,
    state: row.state,
    status: jobStatus(row.state),
    trigger: row.trigger,
    source_id: source?.edgeId ?? row.sourceId,
    source_name: source?.name ?? null,
    snapshot_id: row.snapshotId,
    worker_id: row.workerId,
    attempt: row.attempt,
    max_attempts: row.maxAttempts,
    progress,
    progress_percent: done ? 100 : Math.round(progress?.percent ?? 0),
    path: typeof params.path === "string" ? params.path : Array.isArray(params.paths) ? params.paths.join(", ") : "",
    tier: typeof params.tier === "string" ? params.tier : "hot",
    error: row.error === null ? null : errorReportSchema.parse(row.error),
    result,
    cancel_requested: row.cancelRequestedAt !== null && row.finishedAt === null,
    next_attempt_at: row.state === "queued" && row.attempt > 0 ? row.runAfter.toISOString() : null,
    created_at: row.createdAt.toISOString(),
    updated_at: touched.toISOString(),
    started_at: row.startedAt?.toISOString() ?? null,
    finished_at: row.finishedAt?.toISOString() ?? null,
  };
}

export function toJobEvent(row: JobEventRow): JobEvent {
  return {
    id: row.id,
    attempt: row.attempt,
    at: row.at.toISOString(),
    step: row.step,
    level: row.level,
    message: row.message,
  };
}
