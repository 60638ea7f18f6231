import { errorReportSchema, type EventName } from "@xvault/contracts";
import { and, copies, eq, type JobRow, ne, snapshots, sources, type TenantTx } from "@xvault/db";
import type { TenantId } from "@xvault/kernel";
import type { ServiceDeps } from "../deps.ts";
import { jobParams } from "../jobs/params.ts";
import { raiseAlert, resolveAlert } from "./alerts.ts";
import { tellArchiveEnded } from "./audit-archive.ts";
import { emitEvent } from "./events.ts";

type State = JobRow["state"];

/** What the ends of jobs are called. Ends that are not here, as what was cancelled by hand, are no news. */
const ENDS: Partial<Record<JobRow["type"], Partial<Record<State, EventName>>>> = {
  backup: { success: "backup.succeeded", warning: "backup.warning", failed: "backup.failed" },
  restore: { success: "restore.finished", warning: "restore.finished", failed: "restore.failed" },
  verify: { failed: "check.failed" },
  ingest: { success: "package.completed", warning: "package.completed", failed: "package.failed" },
  drill: { success: "drill.passed", warning: "drill.passed", failed: "drill.failed" },
};

/** Results of jobs as they may leave the house: counts and sizes, whatever kind of job it was. */
function countsOf(result: JobRow["result"]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(result ?? {}).filter(([, value]) => typeof value === "number"));
}

async function sourceNameOf(tx: TenantTx, job: JobRow): Promise<string | null> {
  if (job.sourceId === null) return null;
  const [source] = await tx
    .select({ name: sources.name })
    .from(sources)
    .where(and(eq(sources.tenantId, job.tenantId), eq(sources.id, job.sourceId)));
  return source?.name ?? null;
}

/** Tells webhooks that a backup's first attempt begins. */
export async function tellJobStarted(tx: TenantTx, job: JobRow): Promise<void> {
  if (job.type !== "backup" || job.attempt !== 1) return;
  const about = { source_id: job.sourceId, source_name: await sourceNameOf(tx, job), trigger: job.trigger };
  await emitEvent(tx, job.tenantId as TenantId, "backup.started", { kind: "job", id: job.id }, about);
}

/**
 * Tells webhooks how a job ended, opens an alert where a backup failed, and resolves that where one succeeded. To be called in the transaction
 * that ends it, with the row as it is then; says nothing of a job that waits to be tried again.
 */
export async function tellJobEnded(tx: TenantTx, deps: Pick<ServiceDeps, "clock">, job: JobRow): Promise<void> {
  if (job.state === "success") await tellCopiesChanged(tx, job);
  if (job.type === "audit_archive") await tellArchiveEnded(tx, deps, job);
  const event = ENDS[job.type]?.[job.state];
  if (!event) return;
  const tenantId = job.tenantId as TenantId;
  const sourceName = await sourceNameOf(tx, job);
  const { data: error } = errorReportSchema.safeParse(job.error);
  const failure = error ? { code: error.code, message: error.message, fix: error.fix } : null;
  await emitEvent(
    tx,
    tenantId,
    event,
    { kind: job.type === "ingest" ? "package" : "job", id: job.id },
    {
      source_id: job.sourceId,
      source_name: sourceName,
      snapshot_id: job.snapshotId,
      trigger: job.trigger,
      attempts: job.attempt,
      started_at: job.startedAt?.toISOString() ?? null,
      finished_at: job.finishedAt?.toISOString() ?? null,
      ...countsOf(job.result),
      ...(job.state === "failed" ? { error: failure } : {}),
    },
  );
  if (job.type !== "backup" || job.sourceId === null) return;
  const about = { tenantId, kind: "backup_failed", subject: { kind: "source", id: job.sourceId } };
  // A changed host key is told of by an alert of its own.
  if (failure?.code === "HOST_KEY_CHANGED") return;
  if (job.state === "failed") {
    await raiseAlert(tx, deps, {
      ...about,
      severity: "critical",
      message: `The backup of ${sourceName ?? "a source"} failed: ${failure?.message ?? "nobody knows why."}`,
      fix: failure?.fix ?? "See the job's log, and start the backup again.",
      data: { job_id: job.id, ...(failure ? { code: failure.code } : {}) },
    });
  } else {
    await resolveAlert(tx, deps, about, "A backup of the source succeeded.");
  }
}

/** Tells of a snapshot whose last copy is gone, and of one that has come to lie elsewhere. What the job did to the copies is written already. */
async function tellCopiesChanged(tx: TenantTx, job: JobRow): Promise<void> {
  const { tenantId, snapshotId } = job;
  if (snapshotId === null || (job.type !== "expire" && job.type !== "transfer")) return;
  const subject = { kind: "snapshot", id: snapshotId };
  const about = { job_id: job.id, source_id: job.sourceId, source_name: await sourceNameOf(tx, job) };
  if (job.type === "transfer") {
    const { storage_id, remove } = jobParams.transfer.parse(job.params);
    const data = { ...about, storage_id, removed_from_before: remove };
    return emitEvent(tx, tenantId as TenantId, "copy.moved", subject, data);
  }
  const [snapshot] = await tx
    .select({ state: snapshots.state })
    .from(snapshots)
    .where(and(eq(snapshots.tenantId, tenantId), eq(snapshots.id, snapshotId)));
  const [left] = await tx
    .select({ id: copies.id })
    .from(copies)
    .where(and(eq(copies.tenantId, tenantId), eq(copies.snapshotId, snapshotId), ne(copies.state, "removed")))
    .limit(1);
  if (snapshot?.state === "expired" && !left) {
    await emitEvent(tx, tenantId as TenantId, "snapshot.expired", subject, about);
  }
}
