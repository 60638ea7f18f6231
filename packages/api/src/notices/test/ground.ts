import { createAddressPolicy } from "@xvault/platform";
import { eq, webhookDeliveries, type WebhookDeliveryRow } from "@xvault/db";
import { newId } from "@xvault/kernel";
import type { Subject } from "@xvault/contracts";
import type { ServiceWorld } from "../../test/services.ts";
import { createAlertService } from "../alert-service.ts";
import { createCourier } from "../courier.ts";
import { emitEvent } from "../events.ts";
import { createWebhookService } from "../webhook-service.ts";

/** What tests of notices have at hand: a courier that waits for nothing between its tries, and both services. */
export function noticeGround(world: ServiceWorld, waitsMs: readonly number[] = [0, 0]) {
  const { deps, db, tenantId } = world;
  const policy = createAddressPolicy({ allowPrivate: false, allowedRanges: ["127.0.0.1/32"] });
  const courier = createCourier(deps, { policy, waitsMs, limitMs: 5000 });
  return {
    courier,
    webhooks: createWebhookService(deps, courier),
    alerts: createAlertService(deps),
    /** Something has happened to a source. */
    async happen(event: Parameters<typeof emitEvent>[2] = "backup.succeeded", subject?: Subject): Promise<void> {
      const about = subject ?? { kind: "source", id: newId() };
      await db.withTenant(tenantId, (tx) => emitEvent(tx, tenantId, event, about, { source_name: "web-01" }));
    },
    /** The delivery log of a webhook, oldest first. */
    async log(webhookId: string): Promise<WebhookDeliveryRow[]> {
      return db.withTenant(tenantId, (tx) =>
        tx
          .select()
          .from(webhookDeliveries)
          .where(eq(webhookDeliveries.webhookId, webhookId))
          .orderBy(webhookDeliveries.createdAt, webhookDeliveries.id),
      );
    },
  };
}
