import { and, eq, gt, inArray, isNull, jobs, ne, or, snapshots, type TenantTx, workers } from "@xvault/db";
import type { TenantId } from "@xvault/kernel";

/** Kinds of a source's own jobs that, while they run, may change what is planned for it. */
const AT_WORK = ["backup", "audit_archive", "transfer", "expire", "restore", "verify", "drill"] as const;
/** Of those the ones that keep it from being planned for already while they wait. A backup that waits takes turns with the rules. */
const TO_COME = ["transfer", "expire", "restore"] as const;
/** Kinds that read a snapshot, as jobs of whichever source: a restore is one of its target's, which may be another server. */
const READERS = ["restore", "quote", "drill", "verify", "transfer"] as const;

/**
 * Whether the rules must leave a source alone: a job works on it or is to, or one reads its snapshots or is to, and must find them where they were.
 * What waits for a worker that was revoked never begins, and keeps nothing.
 *
 * @param since a copy to another storage that failed later than this is not tried again yet
 */
export async function isInUse(tx: TenantTx, tenantId: TenantId, sourceId: string, since: Date): Promise<boolean> {
  const waits = and(eq(jobs.state, "queued"), or(isNull(workers.state), ne(workers.state, "revoked")));
  const runs = eq(jobs.state, "running");
  // Two questions, each answered by an index: a workspace has very many jobs.
  const [own] = await tx
    .select({ id: jobs.id })
    .from(jobs)
    .leftJoin(workers, eq(workers.id, jobs.targetWorkerId))
    .where(
      and(
        eq(jobs.tenantId, tenantId),
        eq(jobs.sourceId, sourceId),
        or(
          and(eq(jobs.state, "failed"), eq(jobs.type, "transfer"), gt(jobs.finishedAt, since)),
          and(waits, inArray(jobs.type, [...TO_COME])),
          and(runs, inArray(jobs.type, [...AT_WORK])),
        ),
      ),
    )
    .limit(1);
  if (own) return true;
  const [reader] = await tx
    .select({ id: jobs.id })
    .from(snapshots)
    .innerJoin(jobs, and(eq(jobs.tenantId, snapshots.tenantId), eq(jobs.snapshotId, snapshots.id)))
    .leftJoin(workers, eq(workers.id, jobs.targetWorkerId))
    .where(
      and(
        eq(snapshots.tenantId, tenantId),
        eq(snapshots.sourceId, sourceId),
        inArray(jobs.type, [...READERS]),
        or(waits, runs),
      ),
    )
    .limit(1);
  return reader !== undefined;
}
