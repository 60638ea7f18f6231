import { and, desc, eq, type JobRow, snapshots, workers } from "@xvault/db";
import type { TenantId, WorkerId } from "@xvault/kernel";
import type { ServiceDeps } from "../deps.ts";

/** How long a backup waits for the worker that has the source's last snapshot before any may take it, in milliseconds. */
const PATIENCE = 5 * 60_000;
/** A worker that was silent for longer counts as away, in milliseconds. */
const SEEN_WITHIN = 60_000;

/**
 * The worker that should hear of a job first: the one it is meant for, or for a backup the one whose storage has the source's last
 * snapshot, since every other one would have to pull everything anew. Null: any.
 */
export async function preferredWorker(deps: Pick<ServiceDeps, "db" | "clock">, job: JobRow): Promise<WorkerId | null> {
  if (job.targetWorkerId !== null) return job.targetWorkerId as WorkerId;
  const now = deps.clock.now().getTime();
  if (job.type !== "backup" || job.sourceId === null || now - job.runAfter.getTime() > PATIENCE) return null;
  const { tenantId, sourceId } = job;
  const [last] = await deps.db.withTenant(tenantId as TenantId, (tx) =>
    tx
      .select({ worker: workers })
      .from(snapshots)
      .innerJoin(workers, eq(workers.id, snapshots.workerId))
      .where(and(eq(snapshots.tenantId, tenantId), eq(snapshots.sourceId, sourceId), eq(snapshots.state, "complete")))
      .orderBy(desc(snapshots.sequence))
      .limit(1),
  );
  if (last?.worker.state !== "active") return null;
  const seen = last.worker.lastSeenAt?.getTime() ?? 0;
  return now - seen <= SEEN_WITHIN ? (last.worker.id as WorkerId) : null;
}
