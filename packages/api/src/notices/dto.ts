import { type Alert, type Delivery, deliverySchema, type Webhook, webhookSchema } from "@xvault/contracts";
import type { AlertRow, WebhookDeliveryRow, WebhookRow } from "@xvault/db";

export function toAlert(row: AlertRow, name: string | null): Alert {
  return {
    id: row.id,
    kind: row.kind,
    severity: row.severity,
    subject: { kind: row.subjectKind, id: row.subjectId },
    subject_name: name,
    message: row.message,
    fix: row.fix,
    data: row.data,
    seen: row.seen,
    opened_at: row.openedAt.toISOString(),
    last_seen_at: row.lastSeenAt.toISOString(),
    resolved_at: row.resolvedAt?.toISOString() ?? null,
    resolution: row.resolution,
  };
}

/** `last`: the newest of its deliveries that are over. */
export function toWebhook(row: WebhookRow, last: WebhookDeliveryRow | undefined): Webhook {
  return {
    id: row.id,
    name: row.name,
    url: row.url,
    events: webhookSchema.shape.events.parse(row.events),
    enabled: row.enabled,
    last_delivery:
      last?.finishedAt && last.state !== "pending"
        ? { state: last.state, status_code: last.statusCode, at: last.finishedAt.toISOString() }
        : null,
    created_at: row.createdAt.toISOString(),
    updated_at: row.updatedAt.toISOString(),
  };
}

export function toDelivery(row: WebhookDeliveryRow): Delivery {
  return deliverySchema.parse({
    id: row.id,
    webhook_id: row.webhookId,
    event: row.event,
    payload: row.payload,
    state: row.state,
    attempts: row.attempts,
    next_attempt_at: row.state === "pending" ? row.nextAttemptAt.toISOString() : null,
    status_code: row.statusCode,
    error: row.error,
    created_at: row.createdAt.toISOString(),
    finished_at: row.finishedAt?.toISOString() ?? null,
  });
}
