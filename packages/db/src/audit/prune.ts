import { type Clock, systemClock, type TenantId } from "@xvault/kernel";
import { and, asc, eq, gte, lte, sql } from "drizzle-orm";
import type { SystemTx, TenantTx } from "../database.ts";
import { auditLog } from "../schema/index.ts";
import { appendAudit } from "./append.ts";
import { type AuditAnchor, PRUNED } from "./anchor.ts";

/** Entries that are deleted at a time. */
const BATCH = 5000;

/**
 * Decides that the entries before a time are no longer kept, and writes that down in the log itself, with number and hash of the last of them: with
 * that entry the rest is still a chain that can be walked. Deletes nothing yet. Entries go from the beginning alone: one that is young, by a clock
 * that was wrong or not, keeps all after it.
 *
 * @returns the last entry that may be deleted; null where there is none
 */
export async function closeAuditBefore(
  tx: TenantTx,
  tenantId: TenantId,
  before: Date,
  clock: Clock = systemClock,
): Promise<AuditAnchor | null> {
  const mine = eq(auditLog.tenantId, tenantId);
  const [first] = await tx
    .select({ seq: auditLog.seq, at: auditLog.at })
    .from(auditLog)
    .where(mine)
    .orderBy(asc(auditLog.seq))
    .limit(1);
  if (!first || first.at >= before) return null;
  const [stays] = await tx
    .select({ seq: auditLog.seq, prevHash: auditLog.prevHash })
    .from(auditLog)
    .where(and(mine, gte(auditLog.at, before)))
    .orderBy(asc(auditLog.seq))
    .limit(1);
  const last = stays ? { seq: stays.seq - 1, hash: stays.prevHash } : await newest(tx, tenantId);
  if (!last) return null;
  const entry = {
    tenantId,
    actor: { kind: "system" as const, id: null, label: "xVault" },
    action: PRUNED,
    target: null,
    data: {
      through_seq: last.seq,
      through_hash: last.hash,
      entries: last.seq - first.seq + 1,
      before: before.toISOString(),
    },
    requestId: null,
  };
  await appendAudit(tx, entry, clock);
  return last;
}

async function newest(tx: TenantTx, tenantId: TenantId): Promise<AuditAnchor | null> {
  const [row] = await tx
    .select({ seq: auditLog.seq, hash: auditLog.hash })
    .from(auditLog)
    .where(eq(auditLog.tenantId, tenantId))
    .orderBy(sql`${auditLog.seq} desc`)
    .limit(1);
  return row ?? null;
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
