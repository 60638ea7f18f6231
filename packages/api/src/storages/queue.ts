import type { JobResult } from "@xvault/contracts";
import {
  and,
  copies,
  type CopyRow,
  desc,
  eq,
  inArray,
  type JobRow,
  snapshots,
  type SnapshotRow,
  type StorageRow,
  type TenantTx,
  workers,
} from "@xvault/db";
import { newId, type TenantId, XVaultError } from "@xvault/kernel";
import { insertJob } from "../jobs/enqueue.ts";
import { jobParams } from "../jobs/params.ts";
import { copiesOf, isReadable } from "./copies.ts";

interface By {
  reason: string;
  trigger: JobRow["trigger"];
  requestedBy: string | null;
  now: Date;
}

/**
 * Queues the removal of every copy of a snapshot that nobody is shown any more: a job for each copy. The caller has locked the source, looked
 * that nothing needs it, and set it to 'expired'. Copies on disks of revoked workers stay where they are.
 *
 * @throws NO_WORKER where not one copy can be reached
 */
export async function queueExpire(tx: TenantTx, snapshot: SnapshotRow, by: By): Promise<JobRow[]> {
  const all = await copiesOf(tx, snapshot.tenantId, [snapshot.id], ["complete", "missing", "corrupt"]);
  const reached = all.filter(({ worker }) => worker?.state !== "revoked");
  if (all.length > 0 && reached.length === 0) {
    throw new XVaultError("NO_WORKER", "The worker that holds this snapshot was revoked.", {
      fix: "Bring its storage to another worker, or read the stored files offline with 'xvault recover' and a recovery kit.",
      retry: false,
    });
  }
  const queued: JobRow[] = [];
  for (const { copy } of reached) queued.push(await queueRemoval(tx, snapshot, copy, by));
  return queued;
}

/** Refuses to remove what a storage is known to lock still. @throws OBJECT_LOCKED, saying until when */
export function checkNotLocked(all: readonly Pick<CopyRow, "lockedUntil">[], now: Date): void {
  const untilMs = Math.max(0, ...all.map(({ lockedUntil }) => lockedUntil?.getTime() ?? 0));
  if (untilMs <= now.getTime()) return;
  const until = new Date(untilMs).toISOString();
  throw new XVaultError("OBJECT_LOCKED", `The storage locks this snapshot until ${until}.`, { data: { untilMs } });
}

/** Queues the removal of one copy; its place keeps a signed tombstone. The snapshot is expired, or another copy of it is whole. */
export async function queueRemoval(tx: TenantTx, snapshot: SnapshotRow, copy: CopyRow, by: By): Promise<JobRow> {
  const mine = and(eq(copies.tenantId, copy.tenantId), eq(copies.id, copy.id));
  await tx.update(copies).set({ state: "removing" }).where(mine);
  return insertJob(tx, {
    tenantId: snapshot.tenantId as TenantId,
    type: "expire",
    trigger: by.trigger,
    params: { reason: by.reason, copy_id: copy.id },
    sourceId: snapshot.sourceId,
    snapshotId: snapshot.id,
    targetWorkerId: copy.workerId,
    requestedBy: by.requestedBy,
    now: by.now,
  });
}

/**
 * Queues a further copy of a snapshot on a storage. With `moveFrom` that copy goes, once the new one was read back and is known; where the
 * storage has a whole copy already, it goes at once. While later snapshots beside the old copy use its data (`neededThere`, or found when the
 * job begins) it stays, and goes when they have gone. `onWorkerId`: the worker whose disk it is to lie on, where that is not the one that reads.
 *
 * @throws NO_WORKER, ARTIFACT_MISSING where nothing can be read; CONFLICT where the copy is there already; OBJECT_LOCKED for a move of what is
 * locked where it lies
 */
export async function queueTransfer(
  tx: TenantTx,
  snapshot: SnapshotRow,
  to: Pick<StorageRow, "id" | "kind">,
  by: By & { moveFrom?: CopyRow; neededThere?: boolean; onWorkerId?: string },
): Promise<JobRow> {
  const all = await copiesOf(tx, snapshot.tenantId, [snapshot.id]);
  const there = all.find(({ storage, copy }) => storage.id === to.id && copy.state === "complete");
  const moved = by.moveFrom;
  if (moved) checkNotLocked([moved], by.now);
  if (there) {
    if (!moved || moved.id === there.copy.id)
      throw new XVaultError("CONFLICT", "The storage has a whole copy already.", {
        fix: "Nothing needs to be done. One that you believe to be damaged is checked and made anew from the snapshot's page.",
      });
    if (!by.neededThere) return queueRemoval(tx, snapshot, moved, by);
  }
  const from = all.filter(isReadable).find(({ copy }) => moved === undefined || copy.id === moved.id);
  if (!from) throw new XVaultError("ARTIFACT_MISSING", "There is no whole copy that could be copied.");
  return insertJob(tx, {
    tenantId: snapshot.tenantId as TenantId,
    type: "transfer",
    trigger: by.trigger,
    params: { copy_id: from.copy.id, storage_id: to.id, remove: moved !== undefined, reason: by.reason },
    sourceId: snapshot.sourceId,
    snapshotId: snapshot.id,
    targetWorkerId: from.copy.workerId ?? by.onWorkerId ?? (await holderOn(tx, snapshot, to)),
    requestedBy: by.requestedBy,
    now: by.now,
  });
}

/** The worker on whose disk the source's other snapshots lie: what a copy needs of them is beside it there, and nowhere else. */
async function holderOn(
  tx: TenantTx,
  { tenantId, sourceId }: SnapshotRow,
  to: Pick<StorageRow, "id" | "kind">,
): Promise<string | null> {
  if (to.kind !== "local_fs") return null;
  const [newest] = await tx
    .select({ workerId: copies.workerId })
    .from(copies)
    .innerJoin(snapshots, and(eq(snapshots.tenantId, copies.tenantId), eq(snapshots.id, copies.snapshotId)))
    .innerJoin(workers, and(eq(workers.id, copies.workerId), eq(workers.state, "active")))
    .where(
      and(
        eq(copies.tenantId, tenantId),
        eq(copies.storageId, to.id),
        eq(copies.state, "complete"),
        eq(snapshots.sourceId, sourceId),
      ),
    )
    .orderBy(desc(snapshots.sequence))
    .limit(1);
  return newest?.workerId ?? null;
}

/** A copy that a worker made and read back. Saying it again changes nothing. */
export async function recordCopy(
  tx: TenantTx,
  made: {
    snapshot: SnapshotRow;
    storage: Pick<StorageRow, "id" | "kind">;
    workerId: string;
    location: string;
    lockedUntil: Date | null;
    now: Date;
  },
): Promise<void> {
  const { snapshot, storage, now } = made;
  const { tenantId } = snapshot;
  const mine = and(eq(copies.tenantId, tenantId), eq(copies.snapshotId, snapshot.id), eq(copies.storageId, storage.id));
  const facts = {
    workerId: storage.kind === "local_fs" ? made.workerId : null,
    state: "complete" as const,
    location: made.location,
    lockedUntil: made.lockedUntil,
    // What was just read back is as sure as a whole check.
    checkedAt: now,
    checkedDepth: "whole" as const,
    check: { outcome: "ok", at: now.toISOString() },
  };
  const there = await tx
    .update(copies)
    .set(facts)
    .where(and(mine, inArray(copies.state, ["complete", "missing", "corrupt"])))
    .returning({ id: copies.id });
  if (there.length > 0) return;
  await tx.insert(copies).values({
    id: newId(),
    tenantId,
    snapshotId: snapshot.id,
    storageId: storage.id,
    sizeBytes: snapshot.sizeBytes ?? 0,
    createdAt: now,
    ...facts,
  });
}

/** What the end of a job says about copies: one that was removed is not there any more. */
export async function settleCopies(tx: TenantTx, job: JobRow, result: JobResult | null, now: Date): Promise<void> {
  if (job.type !== "expire" && job.type !== "transfer") return;
  const done = result !== null && (result.type === "expire" || result.type === "transfer");
  const copyId = job.type === "expire" ? jobParams.expire.parse(job.params).copy_id : movedCopy(job);
  if (!done || copyId === undefined) return;
  const mine = and(eq(copies.tenantId, job.tenantId), eq(copies.id, copyId));
  await tx.update(copies).set({ state: "removed", removedAt: now }).where(mine);
}

/**
 * A move that failed for good or was cancelled, after its new copy was read back: the old one may be half gone already, so it is not one that can be
 * read any more, and its removal is finished.
 */
export async function settleHalfMoved(tx: TenantTx, job: JobRow, now: Date): Promise<void> {
  const copyId = job.type === "transfer" ? movedCopy(job) : undefined;
  if (copyId === undefined) return;
  const { storage_id } = jobParams.transfer.parse(job.params);
  const all = await copiesOf(tx, job.tenantId, [job.snapshotId ?? ""], ["complete"]);
  const old = all.find(({ copy }) => copy.id === copyId);
  if (!old || !all.some(({ copy, storage }) => storage.id === storage_id && copy.id !== copyId)) return;
  const snapshot = await snapshotById(tx, job.tenantId, job.snapshotId ?? "");
  const by = { reason: "A move of it was begun.", trigger: "system", requestedBy: null, now } as const;
  // It is announced by the sweeper, once this is committed.
  await queueRemoval(tx, snapshot, old.copy, by);
}

/**
 * A storage has refused a removal because of a lock that it holds longer than was known. Where nothing was removed yet the copy is whole, and the snapshot is
 * shown again: it ends once the lock has, as the rules or somebody wants it then.
 */
export async function settleLocked(tx: TenantTx, job: JobRow, error: JobRow["error"]): Promise<void> {
  if (job.type !== "expire" || error?.["code"] !== "OBJECT_LOCKED") return;
  const { key, untilMs } = (error["data"] ?? {}) as { key?: unknown; untilMs?: unknown };
  const copyId = jobParams.expire.parse(job.params).copy_id;
  // The manifest goes first: while it is locked all else is there, too.
  if (copyId === undefined || typeof untilMs !== "number" || !String(key).endsWith("/manifest.json")) return;
  const mine = and(eq(copies.tenantId, job.tenantId), eq(copies.id, copyId), eq(copies.state, "removing"));
  await tx
    .update(copies)
    .set({ state: "complete", lockedUntil: new Date(untilMs) })
    .where(mine);
  const given = and(eq(snapshots.tenantId, job.tenantId), eq(snapshots.id, job.snapshotId ?? ""));
  await tx
    .update(snapshots)
    .set({ state: "complete", expiresAt: null })
    .where(and(given, eq(snapshots.state, "expired")));
}

function movedCopy(job: JobRow): string | undefined {
  const params = jobParams.transfer.parse(job.params);
  return params.remove && !params.kept ? params.copy_id : undefined;
}

/** A snapshot by its id, whatever its state. @throws NOT_FOUND */
export async function snapshotById(tx: TenantTx, tenantId: string, id: string): Promise<SnapshotRow> {
  const [row] = await tx
    .select()
    .from(snapshots)
    .where(and(eq(snapshots.tenantId, tenantId), eq(snapshots.id, id)));
  if (!row) throw new XVaultError("NOT_FOUND", "The snapshot does not exist any more.");
  return row;
}
