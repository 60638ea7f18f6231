import type { ReceivePayload } from "@xvault/contracts";
import {
  and,
  desc,
  eq,
  jobs,
  type JobRow,
  ne,
  snapshots,
  type SnapshotRow,
  type SourceRow,
  sources,
  sql,
  tenantKeys,
  type TenantTx,
  type WorkerRow,
} from "@xvault/db";
import { newId, type SnapshotId, type TenantId, XVaultError } from "@xvault/kernel";
import { LEASE_SECONDS } from "../jobs/states.ts";
import { tellJobStarted } from "../notices/job-ended.ts";
import { placementOf } from "../storages/placement.ts";
import { storageRef } from "../storages/refs.ts";

/** Gives a job to a worker: the next attempt begins, with a fresh lease. Whether the worker may have it, the caller has seen to. */
export async function takeJob(tx: TenantTx, job: JobRow, worker: WorkerRow, now: Date): Promise<JobRow> {
  const [leased] = await tx
    .update(jobs)
    .set({
      state: "running",
      attempt: job.attempt + 1,
      workerId: worker.id,
      leaseExpiresAt: sql`now() + make_interval(secs => ${LEASE_SECONDS})`,
      heartbeatAt: now,
      startedAt: job.startedAt ?? now,
      error: null,
      progress: null,
    })
    .where(and(eq(jobs.tenantId, job.tenantId), eq(jobs.id, job.id)))
    .returning();
  if (!leased) throw new XVaultError("INTERNAL");
  await tellJobStarted(tx, leased);
  return leased;
}

/** A snapshot that an attempt is about to make. */
interface Reserved {
  source: SourceRow;
  /** The newest one of the source that was published. */
  previous: SnapshotRow | undefined;
  /** What every worker needs to know that makes one: its id and place in the chain, to whom it is encrypted, where it goes. */
  target: Pick<
    ReceivePayload,
    "tenant_id" | "source_id" | "snapshot_id" | "recipients" | "sequence" | "previous" | "storages"
  >;
}

/** Reserves the next snapshot of a source for the present attempt at a job. It exists for nobody before it is published. */
export async function reserveSnapshot(tx: TenantTx, job: JobRow, worker: WorkerRow): Promise<Reserved> {
  const tenantId = job.tenantId as TenantId;
  const [source] = await tx
    .select()
    .from(sources)
    .where(and(eq(sources.tenantId, tenantId), eq(sources.id, job.sourceId ?? "")));
  if (!source || source.deletedAt) throw new XVaultError("NOT_FOUND", "The source was removed.");
  const keys = await tx
    .select()
    .from(tenantKeys)
    .where(and(eq(tenantKeys.tenantId, tenantId), eq(tenantKeys.state, "active")));
  if (keys.length === 0) {
    throw new XVaultError("RECIPIENT_INVALID", "The workspace has no key that its snapshots could be encrypted to.", {
      fix: "Choose one on the page Keys.",
    });
  }
  const [previous] = await tx
    .select()
    .from(snapshots)
    .where(and(eq(snapshots.tenantId, tenantId), eq(snapshots.sourceId, source.id), ne(snapshots.state, "pending")))
    .orderBy(desc(snapshots.sequence))
    .limit(1);
  const placed = await placementOf(tx, tenantId, source.id);
  const sequence = (previous?.sequence ?? 0) + 1;
  // Earlier attempts at this job are over now: what they had reserved and not published does not exist.
  await tx
    .delete(snapshots)
    .where(and(eq(snapshots.tenantId, tenantId), eq(snapshots.jobId, job.id), eq(snapshots.state, "pending")));
  const [pending] = await tx
    .insert(snapshots)
    .values({
      id: newId<SnapshotId>(),
      tenantId,
      sourceId: source.id,
      jobId: job.id,
      attempt: job.attempt,
      workerId: worker.id,
      state: "pending",
      sequence,
      keyFingerprints: keys.map((key) => key.fingerprint),
      startedAt: job.startedAt,
    })
    .returning();
  if (!pending) throw new XVaultError("INTERNAL");
  return {
    source,
    previous,
    target: {
      tenant_id: tenantId,
      source_id: source.id,
      snapshot_id: pending.id,
      recipients: keys.map((key) => key.recipient),
      sequence,
      previous: previous?.manifestSha256
        ? { snapshot_id: previous.id, manifest_sha256: previous.manifestSha256 }
        : null,
      storages: placed.map(({ storage, platform }) => storageRef(storage, platform)),
    },
  };
}
