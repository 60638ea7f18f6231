import {
  and,
  copies,
  type CopyRow,
  desc,
  eq,
  inArray,
  jobs,
  ne,
  type SnapshotRow,
  snapshots,
  sql,
  type TenantTx,
} from "@xvault/db";
import { isXVaultError } from "@xvault/kernel";
import { manifestOf } from "../snapshots/dto.ts";
import { copiesOf } from "./copies.ts";
import { checkNotLocked, queueRemoval } from "./queue.ts";

type Which = Pick<SnapshotRow, "id" | "tenantId" | "sourceId">;

/** Whether a snapshot that has a copy on a storage uses data of this one. While it does, this one's copy there must not go. */
export async function isNeededOn(tx: TenantTx, row: Which, storageId: string): Promise<boolean> {
  const names = JSON.stringify([{ snapshot_id: row.id }]);
  const beside = and(eq(copies.tenantId, snapshots.tenantId), eq(copies.snapshotId, snapshots.id));
  const [one] = await tx
    .select({ id: snapshots.id })
    .from(snapshots)
    .innerJoin(copies, and(beside, eq(copies.storageId, storageId), ne(copies.state, "removed")))
    .where(
      and(
        eq(snapshots.tenantId, row.tenantId),
        eq(snapshots.sourceId, row.sourceId),
        eq(snapshots.state, "complete"),
        sql`${snapshots.manifest} -> 'references' @> ${names}::jsonb`,
      ),
    )
    .limit(1);
  return one !== undefined;
}

/** Of the snapshots that one uses data of, those that have no whole copy where a worker wrote it. */
export async function missingBeside(
  tx: TenantTx,
  tenantId: string,
  needed: readonly string[],
  where: { storageId: string; workerId: string | null },
): Promise<string[]> {
  const there = await copiesOf(tx, tenantId, needed, ["complete"]);
  const has = new Set(
    there
      .filter(({ copy }) => copy.storageId === where.storageId && (copy.workerId ?? where.workerId) === where.workerId)
      .map(({ copy }) => copy.snapshotId),
  );
  return needed.filter((id) => !has.has(id));
}

/** Notes that what a snapshot uses data of is locked on a storage as long as itself: the worker has locked it so. */
export async function extendLocks(
  tx: TenantTx,
  snapshot: SnapshotRow,
  storageId: string,
  lockedUntil: Date | null,
): Promise<void> {
  const needed = manifestOf(snapshot).references.map((reference) => reference.snapshot_id);
  if (lockedUntil === null || needed.length === 0) return;
  await tx
    .update(copies)
    .set({ lockedUntil: sql`greatest(${copies.lockedUntil}, ${lockedUntil})` })
    .where(
      and(eq(copies.tenantId, snapshot.tenantId), eq(copies.storageId, storageId), inArray(copies.snapshotId, needed)),
    );
}

const MAX_FINISHED = 100;

/**
 * Queues the removal of old copies that moves had to leave where they were, because later snapshots beside them used their data, and that
 * nothing needs there any more. To be called when a copy of the source has gone.
 */
export async function finishMoves(
  tx: TenantTx,
  { tenantId, sourceId }: { tenantId: string; sourceId: string | null },
  now: Date,
): Promise<void> {
  if (sourceId === null) return;
  for (const { snapshot, copy } of await leftByMoves(tx, tenantId, sourceId)) {
    const whole = await copiesOf(tx, tenantId, [snapshot.id], ["complete"]);
    const itself = whole.find((one) => one.copy.id === copy.id);
    // What lies with a worker that is locked out stays there.
    if (whole.length < 2 || itself?.worker?.state === "revoked") continue;
    if (await isNeededOn(tx, snapshot, copy.storageId)) continue;
    try {
      checkNotLocked([copy], now);
    } catch (error) {
      if (isXVaultError(error, "OBJECT_LOCKED")) continue;
      throw error;
    }
    const reason = "It was moved before, and nothing there needs it any more.";
    // It is announced by the sweeper, once this is committed.
    await queueRemoval(tx, snapshot, copy, { reason, trigger: "system", requestedBy: null, now });
  }
}

/** The newest first: what it needs can go after it. */
function leftByMoves(
  tx: TenantTx,
  tenantId: string,
  sourceId: string,
): Promise<{ snapshot: SnapshotRow; copy: CopyRow }[]> {
  const itsMove = and(
    eq(jobs.tenantId, copies.tenantId),
    eq(jobs.type, "transfer"),
    eq(jobs.state, "success"),
    sql`${jobs.params}->>'copy_id' = ${copies.id}::text`,
    sql`${jobs.params} @> '{"remove": true, "kept": true}'::jsonb`,
  );
  return tx
    .selectDistinct({ snapshot: snapshots, copy: copies, sequence: snapshots.sequence })
    .from(copies)
    .innerJoin(jobs, itsMove)
    .innerJoin(snapshots, and(eq(snapshots.tenantId, copies.tenantId), eq(snapshots.id, copies.snapshotId)))
    .where(
      and(
        eq(copies.tenantId, tenantId),
        eq(copies.state, "complete"),
        eq(snapshots.sourceId, sourceId),
        eq(snapshots.state, "complete"),
      ),
    )
    .orderBy(desc(snapshots.sequence))
    .limit(MAX_FINISHED);
}
