import { and, eq, jobs, type JobRow, sql, type TenantTx, type WorkerRow } from "@xvault/db";
import { type TenantId, XVaultError } from "@xvault/kernel";
import type { ServiceDeps } from "../deps.ts";
import { LEASE_SECONDS } from "../jobs/states.ts";
import { isSourceBusy } from "./busy.ts";

/** A job and the attempt at it that a worker claims to hold. */
export interface Held {
  job_id: string;
  attempt: number;
}

/**
 * Runs `work` within the tenant of a job that the worker holds, with the job's row locked. Fencing (promise 24): only the worker of the
 * latest attempt gets in; an expired lease still counts until a higher attempt is granted.
 *
 * @throws LEASE_LOST
 */
export async function withHeldJob<T>(
  db: ServiceDeps["db"],
  worker: WorkerRow,
  held: Held,
  work: (tx: TenantTx, job: JobRow, tenantId: TenantId) => Promise<T>,
): Promise<T> {
  const [found] = await db.withSystem((tx) =>
    tx.select({ tenantId: jobs.tenantId }).from(jobs).where(eq(jobs.id, held.job_id)),
  );
  if (!found) throw new XVaultError("LEASE_LOST");
  const tenantId = found.tenantId as TenantId;
  return db.withTenant(tenantId, async (tx) => {
    const [job] = await tx
      .select()
      .from(jobs)
      .where(and(eq(jobs.tenantId, tenantId), eq(jobs.id, held.job_id)))
      .for("update");
    if (!job || job.workerId !== worker.id || job.attempt !== held.attempt) throw new XVaultError("LEASE_LOST");
    if (job.state === "running") return work(tx, job, tenantId);
    return work(tx, await takeUpAgain(tx, job), tenantId);
  });
}

/**
 * A worker that fell silent is back before anybody else took its job: it goes on where it was (promise 23). A job that waits for any
 * other reason has no worker.
 */
async function takeUpAgain(tx: TenantTx, job: JobRow): Promise<JobRow> {
  const meantForOther = job.targetWorkerId !== null && job.targetWorkerId !== job.workerId;
  if (job.state !== "queued" || meantForOther || (await isSourceBusy(tx, job))) throw new XVaultError("LEASE_LOST");
  const [again] = await tx
    .update(jobs)
    .set({
      state: "running",
      error: null,
      leaseExpiresAt: sql`now() + make_interval(secs => ${LEASE_SECONDS})`,
    })
    .where(and(eq(jobs.tenantId, job.tenantId), eq(jobs.id, job.id)))
    .returning();
  if (!again) throw new XVaultError("LEASE_LOST");
  return again;
}
