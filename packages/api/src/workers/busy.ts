import { and, eq, inArray, isNotNull, jobs, type JobRow, ne, or, snapshots, sql, type TenantTx } from "@xvault/db";
import { EDGE_TYPE, SERIALIZED_TYPES } from "../jobs/states.ts";

/** A client's package is among them while a worker takes its bytes: that is when its job has a lease. */
const TURNS: readonly JobRow["type"][] = [...SERIALIZED_TYPES, EDGE_TYPE];

/** One lock a source makes those who lease its jobs, and who change what these build on, take turns. Held until the transaction ends. */
export async function lockSource(tx: TenantTx, sourceId: string): Promise<void> {
  await tx.execute(sql`select pg_advisory_xact_lock(hashtextextended(${sourceId}, 0))`);
}

/** What removes or moves a snapshot's bytes. */
const CHANGING: readonly JobRow["type"][] = ["expire", "transfer"];

/**
 * True while another job that touches data runs on the job's source; or one that changes the snapshot that it reads, or reads the one that it
 * changes, as a restore to another server does. Whoever asks holds the answer until the transaction ends.
 */
export async function isSourceBusy(tx: TenantTx, job: JobRow): Promise<boolean> {
  const { sourceId, snapshotId } = job;
  if (sourceId === null || !TURNS.includes(job.type)) return false;
  const home = snapshotId === null ? null : await sourceOf(tx, job.tenantId, snapshotId);
  // Always in one order: two restores that cross must not wait for each other.
  for (const id of [...new Set([sourceId, home ?? sourceId])].toSorted()) await lockSource(tx, id);
  const onSource = and(eq(jobs.sourceId, sourceId), inArray(jobs.type, [...TURNS]));
  const onSnapshot =
    snapshotId === null
      ? undefined
      : and(
          eq(jobs.snapshotId, snapshotId),
          CHANGING.includes(job.type) ? undefined : inArray(jobs.type, [...CHANGING]),
        );
  const busy = await tx
    .select({ id: jobs.id })
    .from(jobs)
    .where(
      and(
        eq(jobs.tenantId, job.tenantId),
        or(onSource, onSnapshot),
        eq(jobs.state, "running"),
        isNotNull(jobs.leaseExpiresAt),
        ne(jobs.id, job.id),
      ),
    )
    .limit(1);
  return busy.length > 0;
}

async function sourceOf(tx: TenantTx, tenantId: string, snapshotId: string): Promise<string | null> {
  const [row] = await tx
    .select({ sourceId: snapshots.sourceId })
    .from(snapshots)
    .where(and(eq(snapshots.tenantId, tenantId), eq(snapshots.id, snapshotId)));
  return row?.sourceId ?? null;
}
