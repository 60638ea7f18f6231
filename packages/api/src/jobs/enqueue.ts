import type { JobType } from "@xvault/contracts";
import { jobs, type JobRow, type TenantTx } from "@xvault/db";
import { type JobId, newId, type TenantId } from "@xvault/kernel";

/** How often a kind of job is tried before it counts as failed. Interactive ones are tried once: somebody is waiting. */
const MAX_ATTEMPTS: Record<JobType, number> = {
  backup: 3,
  restore: 2,
  verify: 2,
  drill: 2,
  transfer: 5,
  expire: 10,
  ingest: 3,
  audit_archive: 3,
  preflight: 1,
  browse: 1,
  probe: 1,
  quote: 1,
  storage_test: 1,
};

export interface NewJob {
  tenantId: TenantId;
  type: JobType;
  trigger: JobRow["trigger"];
  params: Record<string, unknown>;
  sourceId?: string | null;
  snapshotId?: string | null;
  targetWorkerId?: string | null;
  requestedBy?: string | null;
  now: Date;
}

/** Writes a job down. Announce it to the queue after the transaction has committed; the sweeper does so if that fails. */
export async function insertJob(tx: TenantTx, job: NewJob): Promise<JobRow> {
  const [row] = await tx
    .insert(jobs)
    .values({
      id: newId<JobId>(),
      tenantId: job.tenantId,
      type: job.type,
      state: "queued",
      trigger: job.trigger,
      params: job.params,
      sourceId: job.sourceId ?? null,
      snapshotId: job.snapshotId ?? null,
      targetWorkerId: job.targetWorkerId ?? null,
      requestedBy: job.requestedBy ?? null,
      maxAttempts: MAX_ATTEMPTS[job.type],
      runAfter: job.now,
      createdAt: job.now,
    })
    .returning();
  if (!row) throw new Error("the database returned no row for an insert");
  return row;
}
