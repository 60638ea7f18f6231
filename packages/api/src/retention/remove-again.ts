import {
  and,
  copies,
  desc,
  eq,
  isNull,
  jobs,
  type JobRow,
  ne,
  or,
  snapshots,
  type TenantTx,
  workers,
} from "@xvault/db";
import type { TenantId } from "@xvault/kernel";
import { insertJob } from "../jobs/enqueue.ts";
import { copiesOf } from "../storages/copies.ts";

/**
 * Queues the removal of copies of a source anew whose removal has failed in all its attempts: a storage that was away comes back, and until then a
 * copy that nobody is shown would lie there. Copies on disks of revoked workers stay where they are.
 *
 * @param notSince what failed later than this is left alone for now
 * @param limit as many are queued
 */
export async function removeAgain(
  tx: TenantTx,
  tenantId: TenantId,
  sourceId: string,
  { now, notSince, limit }: { now: Date; notSince: Date; limit: number },
): Promise<JobRow[]> {
  const left = await tx
    .select({ id: snapshots.id })
    .from(copies)
    .innerJoin(snapshots, and(eq(snapshots.tenantId, copies.tenantId), eq(snapshots.id, copies.snapshotId)))
    .leftJoin(workers, eq(workers.id, copies.workerId))
    .where(
      and(
        eq(copies.tenantId, tenantId),
        eq(copies.state, "removing"),
        eq(snapshots.sourceId, sourceId),
        // They must not take the places of those that can be removed.
        or(isNull(workers.state), ne(workers.state, "revoked")),
      ),
    )
    .limit(limit);
  if (left.length === 0) return [];
  const queued: JobRow[] = [];
  for (const { copy, worker } of await copiesOf(
    tx,
    tenantId,
    left.map(({ id }) => id),
    ["removing"],
  )) {
    if (queued.length >= limit) break;
    if (worker?.state === "revoked") continue;
    const last = await lastRemoval(tx, copy.tenantId, copy.snapshotId, copy.id);
    // One that is open goes on by itself; one that ended well has left nothing that is being removed.
    if (!last || last.finishedAt === null || last.finishedAt >= notSince) continue;
    if (last.state !== "failed" && last.state !== "cancelled") continue;
    const { type, trigger, params, requestedBy } = last;
    const { snapshotId, workerId: targetWorkerId } = copy;
    queued.push(
      await insertJob(tx, { tenantId, type, trigger, params, sourceId, snapshotId, targetWorkerId, requestedBy, now }),
    );
  }
  return queued;
}

async function lastRemoval(
  tx: TenantTx,
  tenantId: string,
  snapshotId: string,
  copyId: string,
): Promise<JobRow | undefined> {
  const rows = await tx
    .select()
    .from(jobs)
    .where(and(eq(jobs.tenantId, tenantId), eq(jobs.snapshotId, snapshotId), eq(jobs.type, "expire")))
    .orderBy(desc(jobs.createdAt), desc(jobs.id));
  return rows.find(({ params }) => params["copy_id"] === copyId);
}
