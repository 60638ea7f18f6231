import * as C from "@xvault/contracts";
import { z } from "zod";
import { member, router } from "../trpc.ts";

const byId = z.object({ id: C.idSchema });
const nothing = z.object({});
const read = member("viewer", "notices:read");
const write = member("admin", "notices:write");

export const webhooksRouter = router({
  list: read
    .meta({
      openapi: { method: "GET", path: "/webhooks", tags: ["Notifications"], summary: "All webhooks", protect: true },
    })
    .input(nothing)
    .output(z.object({ items: z.array(C.webhookSchema) }))
    .query(async ({ ctx }) => ({ items: await ctx.services.webhooks.list(ctx.caller) })),
  create: write
    .meta({
      openapi: {
        method: "POST",
        path: "/webhooks",
        tags: ["Notifications"],
        summary: "Add a webhook; its secret is in this answer alone",
        protect: true,
      },
      errors: ["CONFLICT"],
      example: {
        name: "on-call chat",
        url: "https://hooks.example.org/xvault",
        events: ["alert.opened", "alert.resolved", "backup.failed"],
      },
    })
    .input(C.createWebhookInput)
    .output(C.createdWebhookSchema)
    .mutation(({ ctx, input }) => ctx.services.webhooks.create(ctx.caller, input)),
  update: write
    .meta({
      openapi: {
        method: "PATCH",
        path: "/webhooks/{id}",
        tags: ["Notifications"],
        summary: "Change a webhook, or switch it off and on",
        protect: true,
      },
      example: { enabled: false },
    })
    .input(C.updateWebhookInput)
    .output(C.webhookSchema)
    .mutation(({ ctx, input }) => ctx.services.webhooks.update(ctx.caller, input)),
  remove: write
    .meta({
      openapi: {
        method: "DELETE",
        path: "/webhooks/{id}",
        tags: ["Notifications"],
        summary: "Remove a webhook and its delivery log",
        protect: true,
      },
    })
    .input(byId)
    .output(nothing)
    .mutation(async ({ ctx, input }) => {
      await ctx.services.webhooks.remove(ctx.caller, input.id);
      return {};
    }),
  rotateSecret: write
    .meta({
      openapi: {
        method: "POST",
        path: "/webhooks/{id}/rotate-secret",
        tags: ["Notifications"],
        summary: "A new secret, in this answer alone; the old one signs nothing more",
        protect: true,
      },
    })
    .input(byId)
    .output(C.createdWebhookSchema)
    .mutation(({ ctx, input }) => ctx.services.webhooks.rotateSecret(ctx.caller, input.id)),
  test: write
    .meta({
      openapi: {
        method: "POST",
        path: "/webhooks/{id}/test",
        tags: ["Notifications"],
        summary: "Send a test now; answers what became of it",
        protect: true,
      },
    })
    .input(byId)
    .output(C.deliverySchema)
    .mutation(({ ctx, input }) => ctx.services.webhooks.test(ctx.caller, input.id)),
  deliveries: read
    .meta({
      openapi: {
        method: "GET",
        path: "/webhooks/{id}/deliveries",
        tags: ["Notifications"],
        summary: "What was sent to a webhook, newest first",
        protect: true,
      },
    })
    .input(C.listDeliveriesInput)
    .output(C.pageSchema(C.deliverySchema))
    .query(({ ctx, input }) => ctx.services.webhooks.deliveries(ctx.caller, input)),
  redeliver: write
    .meta({
      openapi: {
        method: "POST",
        path: "/deliveries/{id}/redeliver",
        tags: ["Notifications"],
        summary: "Send the same event once more",
        protect: true,
      },
    })
    .input(byId)
    .output(C.deliverySchema)
    .mutation(({ ctx, input }) => ctx.services.webhooks.redeliver(ctx.caller, input.id)),
});

export const alertsRouter = router({
  list: read
    .meta({
      openapi: {
        method: "GET",
        path: "/alerts",
        tags: ["Notifications"],
        summary: "Alerts, newest first",
        protect: true,
      },
    })
    .input(C.listAlertsInput)
    .output(C.alertPageSchema)
    .query(({ ctx, input }) => ctx.services.alerts.list(ctx.caller, input)),
  resolve: write
    .meta({
      openapi: {
        method: "POST",
        path: "/alerts/{id}/resolve",
        tags: ["Notifications"],
        summary: "Resolve an alert, with a note",
        protect: true,
      },
      errors: ["CONFLICT"],
      example: { note: "A test server, which is gone." },
    })
    .input(C.resolveAlertInput)
    .output(C.alertSchema)
    .mutation(({ ctx, input }) => ctx.services.alerts.resolve(ctx.caller, input)),
});
