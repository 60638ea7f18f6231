import type { JobResult } from "@xvault/contracts";
import { and, eq, type JobRow, type SnapshotRow, snapshots, type TenantTx } from "@xvault/db";

/** The snapshot that a job's present attempt has published, if it came so far. */
export async function publishedBy(tx: TenantTx, job: JobRow): Promise<SnapshotRow | undefined> {
  const [made] = await tx
    .select()
    .from(snapshots)
    .where(
      and(
        eq(snapshots.tenantId, job.tenantId),
        eq(snapshots.jobId, job.id),
        eq(snapshots.attempt, job.attempt),
        eq(snapshots.state, "complete"),
      ),
    );
  return made;
}

/** Kinds of jobs that make a snapshot. */
const MAKING_TYPES: readonly JobRow["type"][] = ["backup", "ingest", "audit_archive"];

/** Whether a worker that has done this job must have published a snapshot. */
export function makesSnapshot(job: Pick<JobRow, "type">): boolean {
  return MAKING_TYPES.includes(job.type);
}

/**
 * How a job ended whose attempt has published its snapshot, whatever became of the worker after that: it is done, and is neither run again
 * nor called failed. Null when nothing was published.
 */
export async function publishedOutcome(tx: TenantTx, job: JobRow, now: Date) {
  if (!makesSnapshot(job)) return null;
  const made = await publishedBy(tx, job);
  if (!made) return null;
  const sizes = { plain_bytes: made.plainBytes ?? 0, size_bytes: made.sizeBytes ?? 0 };
  const result: JobResult =
    job.type === "backup"
      ? { type: "backup", files: made.files ?? 0, ...sizes, problems: made.problems }
      : { type: "ingest", ...sizes };
  const state = made.partial ? ("warning" as const) : ("success" as const);
  return { state, result, error: null, snapshotId: made.id, finishedAt: now };
}
