import { appendAudit, type TenantTx } from "@xvault/db";
import type { TenantId } from "@xvault/kernel";
import type { Caller } from "./context.ts";

/** Writes what a person or token did into the workspace's audit log, in the action's own transaction. */
export async function auditCall(
  tx: TenantTx,
  caller: Caller,
  action: string,
  target: { kind: string; id: string },
  data: Record<string, string | number | boolean | null | string[]> = {},
): Promise<void> {
  const { actor } = caller;
  await appendAudit(tx, {
    tenantId: actor.workspace.id,
    actor: { kind: actor.kind, id: actor.userId, label: actor.email },
    action,
    target,
    data,
    requestId: caller.requestId,
  });
}

/** The same for what the platform itself or a worker does. */
export async function auditSystem(
  tx: TenantTx,
  tenantId: TenantId,
  actor: { kind: "system" | "worker"; id: string | null; label: string },
  action: string,
  target: { kind: string; id: string },
  data: Record<string, string | number | boolean | null | string[]> = {},
): Promise<void> {
  await appendAudit(tx, { tenantId, actor, action, target, data, requestId: null });
}
