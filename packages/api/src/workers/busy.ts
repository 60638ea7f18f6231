import { and, eq, inArray, isNotNull, jobs, type JobRow, ne, sql, type TenantTx } from "@xvault/db";
import { EDGE_TYPE, SERIALIZED_TYPES } from "../jobs/states.ts";

/** A client's package is among them while a worker takes its bytes: that is when its job has a lease. */
const TURNS: readonly JobRow["type"][] = [...SERIALIZED_TYPES, EDGE_TYPE];

/** One lock a source makes those who lease its jobs, and who change what these build on, take turns. Held until the transaction ends. */
export async function lockSource(tx: TenantTx, sourceId: string): Promise<void> {
  await tx.execute(sql`select pg_advisory_xact_lock(hashtextextended(${sourceId}, 0))`);
}

/** True while another job that touches data runs on the job's source. Whoever asks holds the answer until the transaction ends. */
export async function isSourceBusy(tx: TenantTx, job: JobRow): Promise<boolean> {
  const { sourceId } = job;
  if (sourceId === null || !TURNS.includes(job.type)) return false;
  await lockSource(tx, sourceId);
  const busy = await tx
    .select({ id: jobs.id })
    .from(jobs)
    .where(
      and(
        eq(jobs.tenantId, job.tenantId),
        eq(jobs.sourceId, sourceId),
        eq(jobs.state, "running"),
        inArray(jobs.type, [...TURNS]),
        isNotNull(jobs.leaseExpiresAt),
        ne(jobs.id, job.id),
      ),
    )
    .limit(1);
  return busy.length > 0;
}
