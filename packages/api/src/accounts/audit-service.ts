import type { AuditArchive, AuditArchives, AuditEntry } from "@xvault/contracts";
import {
  and,
  asc,
  auditArchives,
  type AuditArchiveRow,
  auditLog,
  type AuditLogRow,
  type Database,
  desc,
  eq,
  lt,
  type SnapshotRow,
  snapshots,
  type TenantTx,
  verifyAuditChain,
} from "@xvault/db";
import { type TenantId, XVaultError } from "@xvault/kernel";
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
    archives: ({ actor }, page) =>
      db.withTenant(actor.workspace.id, (tx) => listArchives(tx, actor.workspace.id, page)),
    verify: ({ actor }) => db.withTenant(actor.workspace.id, (tx) => verifyAuditChain(tx, actor.workspace.id)),
  };
}

async function listArchives(
  tx: TenantTx,
  tenantId: TenantId,
  { limit, cursor }: { limit: number; cursor?: string | undefined },
): Promise<AuditArchives> {
  const [begins] = await tx
    .select()
    .from(auditLog)
    .where(eq(auditLog.tenantId, tenantId))
    .orderBy(asc(auditLog.seq))
    .limit(1);
  const before = cursor === undefined ? undefined : lt(auditArchives.throughSeq, seqOf(cursor));
  const rows = await tx
    .select({ archive: auditArchives, snapshot: snapshots })
    .from(auditArchives)
    .innerJoin(
      snapshots,
      and(eq(snapshots.tenantId, auditArchives.tenantId), eq(snapshots.id, auditArchives.snapshotId)),
    )
    .where(and(eq(auditArchives.tenantId, tenantId), before))
    .orderBy(desc(auditArchives.throughSeq))
    .limit(limit + 1);
  const items = rows.slice(0, limit).map(toArchive);
  const last = items.at(-1);
  return {
    items,
    next_cursor: rows.length > limit && last ? String(last.through_seq) : null,
    begins: begins ? { seq: begins.seq, at: begins.at.toISOString(), prev_hash: begins.prevHash } : null,
  };
}

function toArchive({ archive, snapshot }: { archive: AuditArchiveRow; snapshot: SnapshotRow }): AuditArchive {
  return {
    package_id: snapshot.jobId,
    snapshot_id: snapshot.id,
    source_id: snapshot.sourceId,
    from_seq: archive.fromSeq,
    through_seq: archive.throughSeq,
    prev_hash: archive.prevHash,
    hash: archive.hash,
    first_at: archive.firstAt.toISOString(),
    last_at: archive.lastAt.toISOString(),
    archived_at: archive.createdAt.toISOString(),
    state: snapshot.state === "complete" ? "kept" : snapshot.state === "expired" ? "ended" : "lost",
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
