import { AUDIT_GENESIS } from "@xvault/contracts";
import { type Clock, type Json, systemClock, type TenantId } from "@xvault/kernel";
import { eq, sql } from "drizzle-orm";
import type { TenantTx } from "../database.ts";
import { auditHeads, auditLog, type AuditLogRow } from "../schema/index.ts";
import { entryHash, storable } from "./entry.ts";

export interface AuditEntryInput {
  /** The workspace whose log it goes to; `PLATFORM_TENANT` (in a system transaction) for what belongs to none. */
  tenantId: TenantId;
  actor: { kind: AuditLogRow["actorKind"]; id: string | null; label: string };
  /** As in 'source.created'. */
  action: string;
  target: { kind: string; id: string } | null;
  /** Facts of the action. Never a secret. */
  data: Record<string, Json>;
  requestId: string | null;
}

/**
 * Writes an action into its workspace's audit log, in the action's own transaction: both become true together or not at all. The log's
 * head stays locked until the transaction ends, so append late in it.
 *
 * @returns the entry's number and hash
 */
export async function appendAudit(
  tx: TenantTx,
  input: AuditEntryInput,
  clock: Clock = systemClock,
): Promise<{ seq: number; hash: string }> {
  const { tenantId } = input;
  // Makes the head, or locks it: the update changes nothing but takes the row's lock and shows it as it is now.
  const [head] = await tx
    .insert(auditHeads)
    .values({ tenantId, seq: 0, hash: AUDIT_GENESIS })
    .onConflictDoUpdate({ target: auditHeads.tenantId, set: { seq: sql`${auditHeads.seq}` } })
    .returning();
  if (!head) throw new Error("the database returned no row for an insert");
  const entry = {
    tenantId,
    seq: head.seq + 1,
    at: clock.now(),
    actorKind: input.actor.kind,
    actorId: storable(input.actor.id),
    actorLabel: storable(input.actor.label),
    action: input.action,
    targetKind: input.target?.kind ?? null,
    targetId: storable(input.target?.id ?? null),
    data: storable(input.data),
    requestId: storable(input.requestId),
  };
  const hash = entryHash(head.hash, entry);
  await tx.insert(auditLog).values({ ...entry, prevHash: head.hash, hash });
  await tx.update(auditHeads).set({ seq: entry.seq, hash }).where(eq(auditHeads.tenantId, tenantId));
  return { seq: entry.seq, hash };
}
