import type { removeSnapshotInput } from "@xvault/contracts";
import {
  and,
  desc,
  eq,
  inArray,
  jobs,
  type JobRow,
  ne,
  type SnapshotRow,
  snapshots,
  sources,
  sql,
  type TenantTx,
} from "@xvault/db";
import { XVaultError } from "@xvault/kernel";
import type { z } from "zod";
import { auditCall } from "../audit.ts";
import type { Caller } from "../context.ts";
import { copiesOf } from "../storages/copies.ts";
import { checkNotLocked, queueExpire } from "../storages/queue.ts";
import { lockSource } from "../workers/busy.ts";
import { checkNotKept } from "./pins.ts";

/**
 * Takes a snapshot out of the list at once and queues the removal of each of its copies.
 *
 * @throws SNAPSHOT_NEEDED for a source's newest snapshot, one that is pinned or on hold, one whose artifact later ones need, and a piece of the audit log; OBJECT_LOCKED while a storage locks a copy; CONFLICT while a job works on it; NO_WORKER where nobody could remove the files
 */
export async function removeSnapshot(
  tx: TenantTx,
  caller: Caller,
  row: SnapshotRow,
  input: z.output<typeof removeSnapshotInput>,
  now: Date,
): Promise<JobRow[]> {
  if (row.state !== "complete") throw new XVaultError("NOT_FOUND", "This snapshot was removed already.");
  checkNotKept(row, now);
  // No run that builds on it may begin, and none may be published, between the look and the change.
  await lockSource(tx, row.sourceId);
  await checkNotAuditLog(tx, row);
  await checkNotNeeded(tx, row);
  await checkNotInUse(tx, row);
  const all = await copiesOf(tx, row.tenantId, [row.id]);
  checkNotLocked(
    all.map(({ copy }) => copy),
    now,
  );
  const mine = and(eq(snapshots.tenantId, row.tenantId), eq(snapshots.id, row.id), eq(snapshots.state, "complete"));
  const [changed] = await tx.update(snapshots).set({ state: "expired", expiresAt: now }).where(mine).returning();
  if (!changed) throw new XVaultError("CONFLICT");
  const trigger = caller.actor.kind === "token" ? "api" : "manual";
  const queued = await queueExpire(tx, row, { reason: input.reason, trigger, requestedBy: caller.actor.userId, now });
  const about = { job_ids: queued.map((job) => job.id), reason: input.reason, sequence: row.sequence };
  await auditCall(tx, caller, "snapshot.removed", { kind: "snapshot", id: row.id }, about);
  return queued;
}

async function checkNotAuditLog(tx: TenantTx, row: SnapshotRow): Promise<void> {
  const [source] = await tx
    .select({ kind: sources.kind })
    .from(sources)
    .where(and(eq(sources.tenantId, row.tenantId), eq(sources.id, row.sourceId)));
  if (source?.kind !== "audit") return;
  throw new XVaultError("SNAPSHOT_NEEDED", "This is a piece of the audit log; nobody removes it by hand.", {
    fix: "It ends by the rules of retention for audit logs.",
  });
}

async function checkNotNeeded(tx: TenantTx, row: SnapshotRow): Promise<void> {
  const ofSource = and(
    eq(snapshots.tenantId, row.tenantId),
    eq(snapshots.sourceId, row.sourceId),
    eq(snapshots.state, "complete"),
  );
  const names = JSON.stringify([{ snapshot_id: row.id }]);
  const needing = await tx
    .select({ id: snapshots.id })
    .from(snapshots)
    .where(and(ofSource, ne(snapshots.id, row.id), sql`${snapshots.manifest}->'references' @> ${names}::jsonb`));
  if (needing.length > 0) {
    const some = needing.length === 1 ? "One later snapshot uses" : `${needing.length} later snapshots use`;
    throw new XVaultError("SNAPSHOT_NEEDED", `${some} data of this one.`, {
      fix: "Remove what uses it first; where that is the newest snapshot, run a full backup before.",
      data: { snapshots: needing.length },
    });
  }
  const [newest] = await tx.select().from(snapshots).where(ofSource).orderBy(desc(snapshots.sequence)).limit(1);
  const [source] = await tx
    .select({ deletedAt: sources.deletedAt })
    .from(sources)
    .where(and(eq(sources.tenantId, row.tenantId), eq(sources.id, row.sourceId)));
  if (newest?.id === row.id && source?.deletedAt === null) {
    throw new XVaultError("SNAPSHOT_NEEDED", "This is the newest snapshot of its source.", {
      fix: "Back the source up again, or remove the source first.",
    });
  }
}

async function checkNotInUse(tx: TenantTx, row: SnapshotRow): Promise<void> {
  const open = and(eq(jobs.tenantId, row.tenantId), inArray(jobs.state, ["queued", "running"]));
  const using = await tx
    .select({ id: jobs.id })
    .from(jobs)
    .where(
      and(
        open,
        sql`(${jobs.snapshotId} = ${row.id} or (${jobs.sourceId} = ${row.sourceId} and ${jobs.type} = 'backup' and ${jobs.state} = 'running'))`,
      ),
    )
    .limit(1);
  if (using.length > 0) {
    throw new XVaultError("CONFLICT", "A job is working on this snapshot or on its source.", {
      fix: "Try again when it has ended.",
      retry: true,
    });
  }
}
