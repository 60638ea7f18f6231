import type { EventName, EventPayload, Subject } from "@xvault/contracts";
import { and, eq, sql, type TenantTx, webhookDeliveries, webhooks } from "@xvault/db";
import { newId, type TenantId } from "@xvault/kernel";

type Data = Record<string, unknown>;

/**
 * Tells the webhooks that want it of something that happened: a delivery each, written in the transaction of the thing itself, so that neither
 * is there without the other. They are sent afterwards. `data` goes out of the house: nothing secret.
 */
export async function emitEvent(
  tx: TenantTx,
  tenantId: TenantId,
  event: EventName,
  subject: Subject,
  data: Data = {},
): Promise<void> {
  const enabled = await tx
    .select({ id: webhooks.id, events: webhooks.events, now: sql`now()`.mapWith(webhooks.createdAt) })
    .from(webhooks)
    .where(and(eq(webhooks.tenantId, tenantId), eq(webhooks.enabled, true)));
  const wanting = enabled.filter(({ events }) => events.includes(event));
  const [first] = wanting;
  if (!first) return;
  const payload = newPayload(tenantId, { event, subject, data, at: first.now });
  await tx.insert(webhookDeliveries).values(
    wanting.map(({ id }) => ({
      id: newId(),
      tenantId,
      webhookId: id,
      event,
      payload: { ...payload },
      createdAt: first.now,
    })),
  );
}

/** What is sent of one event, whoever it is sent to. */
export function newPayload(
  tenantId: TenantId,
  about: { event: EventName; subject: Subject; data: Data; at: Date },
): EventPayload {
  const { event, subject, data, at } = about;
  return { id: newId(), event, created_at: at.toISOString(), workspace_id: tenantId, subject, data };
}
