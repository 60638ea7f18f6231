import type { AuditEntry } from "@xvault/contracts";
import { and, auditLog, type AuditLogRow, type Database, desc, eq, lt, verifyAuditChain } from "@xvault/db";
import { XVaultError } from "@xvault/kernel";
import type { AuditService } from "../services.ts";

/** The audit log of a workspace. */
export function createAuditService({ db }: { db: Database }): AuditService {
  return {
    list: ({ actor }, { limit, cursor }) =>
      db.withTenant(actor.workspace.id, async (tx) => {
        const before = cursor === undefined ? undefined : lt(auditLog.seq, seqOf(cursor));
        const rows = await tx
          .select()
          .from(auditLog)
          .where(and(eq(auditLog.tenantId, actor.workspace.id), before))
          .orderBy(desc(auditLog.seq))
          .limit(limit + 1);
        const items = rows.slice(0, limit).map(toEntry);
        const last = items.at(-1);
        return { items, next_cursor: rows.length > limit && last ? String(last.seq) : null };
      }),
    verify: ({ actor }) => db.withTenant(actor.workspace.id, (tx) => verifyAuditChain(tx, actor.workspace.id)),
  };
}

function seqOf(cursor: string): number {
  const seq = Number(cursor);
  if (!Number.isSafeInteger(seq) || seq < 1) throw new XVaultError("INPUT_INVALID", "The cursor is not valid.");
  return seq;
}

function toEntry(row: AuditLogRow): AuditEntry {
  return {
    seq: row.seq,
    at: row.at.toISOString(),
    actor_kind: row.actorKind,
    actor_id: row.actorId,
    actor_label: row.actorLabel,
    action: row.action,
    target_kind: row.targetKind,
    target_id: row.targetId,
    data: row.data,
    request_id: row.requestId,
    hash: row.hash,
  };
}
