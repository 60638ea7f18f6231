import { AUDIT_GENESIS } from "@xvault/contracts";
import type { TenantId } from "@xvault/kernel";
import { and, asc, eq, gt, sql } from "drizzle-orm";
import type { TenantTx } from "../database.ts";
import { auditHeads, auditLog, type AuditLogRow } from "../schema/index.ts";
import { type AuditAnchor, prunedThrough } from "./anchor.ts";
import { entryHash } from "./entry.ts";

export type AuditFault =
  /** The entry is not what was written. */
  | "edited"
  /** An entry is missing before others. */
  | "gap"
  /** Entries are missing at the end. */
  | "truncated"
  /** The chain fits itself, but not its head or the anchor. */
  | "rewritten";

export interface AuditCheck {
  ok: boolean;
  /** Entries that were looked at and found good. */
  entries: number;
  /** The last of them; number 0 for an empty log. */
  head: AuditAnchor;
  /** The first that is wrong. */
  problem: { seq: number; reason: AuditFault } | null;
}

const BATCH = 1000;

/**
 * Walks a workspace's audit log from its first entry and recomputes every hash, then holds its end against the stored head. Where the retention of
 * the log has deleted its beginning, an entry says up to where, and the walk begins there. What somebody with all rights over the database can
 * rewrite from end to end, only an `anchor` from outside shows.
 */
export async function verifyAuditChain(tx: TenantTx, tenantId: TenantId, anchor?: AuditAnchor): Promise<AuditCheck> {
  const ends = await endsOf(tx, tenantId);
  const pruned = await prunedThrough(tx, tenantId);
  let last: AuditAnchor = { seq: 0, hash: AUDIT_GENESIS };
  let walked = 0;
  const result = (problem: AuditCheck["problem"]): AuditCheck => ({
    ok: problem === null,
    entries: walked,
    head: last,
    problem,
  });

  for await (const row of entries(tx, tenantId)) {
    // Some of what may be deleted can still be there: it must lead to where the log was closed.
    if (walked === 0 && pruned && row.seq > 1) {
      last = row.seq <= pruned.seq + 1 ? { seq: row.seq - 1, hash: row.prevHash } : pruned;
    }
    if (pruned && last.seq === pruned.seq && last.hash !== pruned.hash) {
      return result({ seq: row.seq, reason: "rewritten" });
    }
    const fault = faultOf(row, last, anchor);
    if (fault) return result({ seq: fault === "gap" ? last.seq + 1 : row.seq, reason: fault });
    // Entries that were appended while we walk follow the head that we know; they are good so far.
    if (row.seq === ends.head?.seq && row.hash !== ends.head.hash) return result({ seq: row.seq, reason: "rewritten" });
    last = { seq: row.seq, hash: row.hash };
    walked += 1;
  }
  const expected = Math.max(ends.head?.seq ?? 0, anchor?.seq ?? 0);
  if (expected > last.seq) return result({ seq: last.seq + 1, reason: "truncated" });
  // Log and head are written together: in one snapshot of the database they end alike.
  if (ends.logged !== (ends.head?.seq ?? 0)) return result({ seq: ends.logged, reason: "rewritten" });
  return result(null);
}

/** What is wrong with an entry that is to follow another; null where nothing is. */
export function faultOf(row: AuditLogRow, last: AuditAnchor, anchor: AuditAnchor | undefined): AuditFault | null {
  if (row.seq !== last.seq + 1) return "gap";
  if (row.prevHash !== last.hash || row.hash !== entryHash(last.hash, row)) return "edited";
  if (row.seq === anchor?.seq && row.hash !== anchor.hash) return "rewritten";
  return null;
}

/** The stored head and the number of the last entry, as one statement sees them. */
async function endsOf(tx: TenantTx, tenantId: TenantId): Promise<{ head: AuditAnchor | null; logged: number }> {
  const newest = tx
    .select({ logged: sql<number>`coalesce(max(${auditLog.seq}), 0)`.mapWith(Number).as("logged") })
    .from(auditLog)
    .where(eq(auditLog.tenantId, tenantId))
    .as("newest");
  const [row] = await tx
    .select({ seq: auditHeads.seq, hash: auditHeads.hash, logged: newest.logged })
    .from(newest)
    .leftJoin(auditHeads, eq(auditHeads.tenantId, tenantId));
  const logged = row?.logged ?? 0;
  return { head: row && row.seq !== null && row.hash !== null ? { seq: row.seq, hash: row.hash } : null, logged };
}

async function* entries(tx: TenantTx, tenantId: TenantId): AsyncGenerator<AuditLogRow, void, undefined> {
  let after = Number.MIN_SAFE_INTEGER;
  for (;;) {
    const rows = await tx
      .select()
      .from(auditLog)
      .where(and(eq(auditLog.tenantId, tenantId), gt(auditLog.seq, after)))
      .orderBy(asc(auditLog.seq))
      .limit(BATCH);
    yield* rows;
    const end = rows.at(-1);
    if (!end || rows.length < BATCH) return;
    after = end.seq;
  }
}
