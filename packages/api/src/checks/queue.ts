import type { CheckDepth, VerificationPolicy } from "@xvault/contracts";
import {
  and,
  copies,
  type CopyRow,
  eq,
  inArray,
  jobs,
  type JobRow,
  snapshots,
  type SnapshotRow,
  sql,
  type TenantTx,
} from "@xvault/db";
import { blocksToSample, shareToSample, type TenantId } from "@xvault/kernel";
import { insertJob } from "../jobs/enqueue.ts";

/** The unit of the signed hashes. Bytes. */
const BLOCK_BYTES = 1024 * 1024;

interface By {
  trigger: JobRow["trigger"];
  requestedBy: string | null;
  now: Date;
}

/** The share of a storage's blocks that is read of each copy, so that the policy's claim holds for all copies there together. */
export async function storageShare(tx: TenantTx, storageId: string, policy: VerificationPolicy): Promise<number> {
  const [sum] = await tx
    .select({ blocks: sql<number>`coalesce(sum(ceil(${copies.sizeBytes} / ${BLOCK_BYTES}::numeric)), 0)::float8` })
    .from(copies)
    .innerJoin(snapshots, and(eq(snapshots.tenantId, copies.tenantId), eq(snapshots.id, copies.snapshotId)))
    .where(and(eq(copies.storageId, storageId), eq(copies.state, "complete"), eq(snapshots.state, "complete")));
  return shareToSample(sum?.blocks ?? 0, goalOf(policy));
}

/** The share of one copy's blocks that is read, so that the policy's claim holds for it alone. */
export function ownShare(copy: CopyRow, policy: VerificationPolicy): number {
  const blocks = Math.ceil(copy.sizeBytes / BLOCK_BYTES);
  return blocks === 0 ? 1 : blocksToSample(blocks, goalOf(policy)) / blocks;
}

function goalOf(policy: VerificationPolicy) {
  return { confidence: policy.confidence, lostBelow: policy.lost_below };
}

/** The checks and drills of a copy that wait or run. */
export function activeChecks(tx: TenantTx, copy: CopyRow): Promise<JobRow[]> {
  return tx
    .select()
    .from(jobs)
    .where(
      and(
        eq(jobs.tenantId, copy.tenantId),
        eq(jobs.snapshotId, copy.snapshotId),
        inArray(jobs.type, ["verify", "drill"]),
        inArray(jobs.state, ["queued", "running"]),
        eq(sql`${jobs.params} ->> 'copy_id'`, copy.id),
      ),
    );
}

/** Queues the check of a copy. `earlier`: whether the blocks of earlier artifacts are read too, which have checks of their own. */
export function queueCheck(
  tx: TenantTx,
  { snapshot, copy }: { snapshot: SnapshotRow; copy: CopyRow },
  check: { depth: CheckDepth | null; share: number; lostBelow: number; earlier: boolean },
  by: By,
): Promise<JobRow> {
  const { depth, share, lostBelow, earlier } = check;
  return insertJob(tx, {
    tenantId: snapshot.tenantId as TenantId,
    type: "verify",
    params: { copy_id: copy.id, depth, share, lost_below: lostBelow, earlier },
    sourceId: snapshot.sourceId,
    snapshotId: snapshot.id,
    targetWorkerId: copy.workerId,
    ...by,
  });
}

/** Queues a restore of a snapshot to nowhere, from one of its copies. */
export function queueDrill(
  tx: TenantTx,
  { snapshot, copy }: { snapshot: SnapshotRow; copy: CopyRow },
  drill: { mode: "sample" | "all"; files: number },
  by: By,
): Promise<JobRow> {
  return insertJob(tx, {
    tenantId: snapshot.tenantId as TenantId,
    type: "drill",
    params: { copy_id: copy.id, ...drill },
    sourceId: snapshot.sourceId,
    snapshotId: snapshot.id,
    targetWorkerId: copy.workerId,
    ...by,
  });
}
