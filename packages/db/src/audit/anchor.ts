import type { TenantId } from "@xvault/kernel";
import { and, desc, eq } from "drizzle-orm";
import type { TenantTx } from "../database.ts";
import { auditLog } from "../schema/index.ts";

/** An entry's number and hash, as published somewhere outside: what the log must still lead to. */
export interface AuditAnchor {
  seq: number;
  hash: string;
}

/** What the entry is called that closes a log's beginning. */
export const PRUNED = "audit.pruned";

/** The last entry that was given up, as the newest entry about it says; null where none was. The walk over the log proves that entry. */
export async function prunedThrough(tx: TenantTx, tenantId: TenantId): Promise<AuditAnchor | null> {
  const [row] = await tx
    .select({ data: auditLog.data })
    .from(auditLog)
    .where(and(eq(auditLog.tenantId, tenantId), eq(auditLog.action, PRUNED)))
    .orderBy(desc(auditLog.seq))
    .limit(1);
  const seq = row?.data["through_seq"];
  const hash = row?.data["through_hash"];
  return typeof seq === "number" && typeof hash === "string" ? { seq, hash } : null;
}
