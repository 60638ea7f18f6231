import { type Clock, systemClock, type TenantId } from "@xvault/kernel";
import { and, asc, eq, lte } from "drizzle-orm";
import type { SystemTx, TenantTx } from "../database.ts";
import { auditLog } from "../schema/index.ts";
import { appendAudit } from "./append.ts";
import { type AuditAnchor, PRUNED, prunedThrough } from "./anchor.ts";
import { archiveOfBeginning } from "./archive.ts";

/** Entries that are deleted at a time. */
const BATCH = 5000;

/**
 * Closes the log behind what is archived: decides that the database no longer keeps it, and writes that down in the log itself, with number and hash of
 * the last entry and the snapshot that holds them all. With that entry the rest is still a chain that can be walked. Deletes nothing yet. What lies in
 * no snapshot that is there, or is not what was archived, is not closed.
 *
 * @returns the last entry that may be deleted; null where there is none
 */
export async function closeArchivedAudit(
  tx: TenantTx,
  tenantId: TenantId,
  clock: Clock = systemClock,
): Promise<AuditAnchor | null> {
  const archive = await archiveOfBeginning(tx, tenantId);
  if (!archive) return null;
  const through: AuditAnchor = { seq: archive.throughSeq, hash: archive.hash };
  const at = and(eq(auditLog.tenantId, tenantId), eq(auditLog.seq, through.seq));
  const [last] = await tx.select({ hash: auditLog.hash }).from(auditLog).where(at);
  if (last?.hash !== through.hash) return null;
  const pruned = await prunedThrough(tx, tenantId);
  // It was closed before, and what deletes was broken off.
  if (pruned && pruned.seq >= through.seq) return through;
  const entry = {
    tenantId,
    actor: { kind: "system" as const, id: null, label: "xVault" },
    action: PRUNED,
    target: { kind: "snapshot", id: archive.snapshotId },
    data: {
      through_seq: through.seq,
      through_hash: through.hash,
      from_seq: archive.fromSeq,
      entries: through.seq - archive.fromSeq + 1,
    },
    requestId: null,
  };
  await appendAudit(tx, entry, clock);
  return through;
}

/** Deletes some of the entries up to the one with which the log was closed, the oldest first. @returns how many; 0 once none is left */
export async function deleteAuditThrough(tx: SystemTx, tenantId: TenantId, through: AuditAnchor): Promise<number> {
  const mine = and(eq(auditLog.tenantId, tenantId), lte(auditLog.seq, through.seq));
  const [first] = await tx.select({ seq: auditLog.seq }).from(auditLog).where(mine).orderBy(asc(auditLog.seq)).limit(1);
  if (!first) return 0;
  const gone = await tx
    .delete(auditLog)
    .where(and(mine, lte(auditLog.seq, first.seq + BATCH - 1)))
    .returning({ seq: auditLog.seq });
  return gone.length;
}
