import * as C from "@xvault/contracts";
import { z } from "zod";
import { anyone, confirmedPlatformAdmin, platformAdmin, router } from "../trpc.ts";

const nothing = z.object({});
const byId = z.object({ id: C.idSchema });
const tags = ["Platform"];
const EXAMPLE_KEY = { kind: "s3", access_key_id: "GK31c2f218a2e44f485b94239e", secret_access_key: "of-the-key" };
const ofTenant = z.object({ tenant_id: C.idSchema });
const tenantJob = C.jobSchema.extend({ tenant_id: C.idSchema, tenant_name: z.string() });

export const adminRouter = router({
  tenants: platformAdmin.output(z.array(C.tenantSummarySchema)).query(({ ctx }) => ctx.services.admin.tenants()),
  workers: platformAdmin.output(z.array(C.workerSchema)).query(({ ctx }) => ctx.services.admin.workers()),
  jobs: platformAdmin
    .input(C.listJobsInput)
    .output(C.pageSchema(tenantJob))
    .query(({ ctx, input }) => ctx.services.admin.jobs(input)),
  sources: platformAdmin
    .input(ofTenant)
    .output(z.array(C.sourceSchema))
    .query(({ ctx, input }) => ctx.services.admin.sources(input.tenant_id)),
  snapshots: platformAdmin
    .input(ofTenant)
    .output(z.array(C.snapshotSchema))
    .query(({ ctx, input }) => ctx.services.admin.snapshots(input.tenant_id)),
  createEnrollment: confirmedPlatformAdmin
    .output(C.enrollmentSchema)
    .mutation(({ ctx }) => ctx.services.admin.createEnrollment(ctx.actor, ctx.requestId)),
  setDraining: platformAdmin
    .input(byId.extend({ draining: z.boolean() }))
    .output(C.workerSchema)
    .mutation(({ ctx, input }) => ctx.services.admin.setDraining(ctx.actor, input.id, input.draining, ctx.requestId)),
  revokeWorker: platformAdmin
    .input(byId)
    .output(nothing)
    .mutation(async ({ ctx, input }) => {
      await ctx.services.admin.revokeWorker(ctx.actor, input.id, ctx.requestId);
      return {};
    }),
  storages: platformAdmin
    .meta({
      openapi: {
        method: "GET",
        path: "/platform/storages",
        tags,
        summary: "Storages for all workspaces",
        protect: true,
      },
    })
    .input(nothing)
    .output(z.array(C.platformStorageSchema))
    .query(({ ctx }) => ctx.services.admin.storages()),
  createStorage: platformAdmin
    .meta({
      openapi: { method: "POST", path: "/platform/storages", tags, summary: "Add a storage for all", protect: true },
      errors: ["CONFLICT"],
      example: {
        name: "Cold buckets",
        tier: "cold",
        place: { kind: "s3", config: { endpoint: "https://s3.example.com", bucket: "backups-{tenant_id}" } },
        own_keys: true,
      },
    })
    .input(C.createPlatformStorageInput)
    .output(C.platformStorageSchema)
    .mutation(({ ctx, input }) => ctx.services.admin.createStorage(ctx.actor, input, ctx.requestId)),
  updateStorage: platformAdmin
    .meta({
      openapi: {
        method: "PATCH",
        path: "/platform/storages/{id}",
        tags,
        summary: "Rename a storage for all, change its tier, its keys or to whom it is offered",
        protect: true,
      },
      errors: ["CONFLICT"],
      example: { tier: "cold" },
    })
    .input(C.updatePlatformStorageInput)
    .output(C.platformStorageSchema)
    .mutation(({ ctx, input }) => ctx.services.admin.updateStorage(ctx.actor, input, ctx.requestId)),
  retireStorage: platformAdmin
    .meta({
      openapi: {
        method: "DELETE",
        path: "/platform/storages/{id}",
        tags,
        summary: "Offer a storage to no new workspace",
        protect: true,
      },
    })
    .input(byId)
    .output(nothing)
    .mutation(async ({ ctx, input }) => {
      await ctx.services.admin.retireStorage(ctx.actor, input.id, ctx.requestId);
      return {};
    }),
  storageKeys: platformAdmin
    .meta({
      openapi: {
        method: "GET",
        path: "/platform/storages/{id}/keys",
        tags,
        summary: "Which workspaces have a key of their own",
        protect: true,
      },
    })
    .input(byId)
    .output(z.array(C.storageKeySchema))
    .query(({ ctx, input }) => ctx.services.admin.storageKeys(input.id)),
  setStorageKey: platformAdmin
    .meta({
      openapi: {
        method: "PUT",
        path: "/platform/storages/{id}/keys/{tenant_id}",
        tags,
        summary: "Give a workspace a key of its own; its jobs get no other",
        protect: true,
      },
      errors: ["CONFLICT"],
      example: { secret: EXAMPLE_KEY },
    })
    .input(C.setStorageKeyInput)
    .output(nothing)
    .mutation(async ({ ctx, input }) => {
      await ctx.services.admin.setStorageKey(ctx.actor, input, ctx.requestId);
      return {};
    }),
  removeStorageKey: platformAdmin
    .meta({
      openapi: {
        method: "DELETE",
        path: "/platform/storages/{id}/keys/{tenant_id}",
        tags,
        summary: "Take a workspace's own key back",
        protect: true,
      },
    })
    .input(byId.extend({ tenant_id: C.idSchema }))
    .output(nothing)
    .mutation(async ({ ctx, input }) => {
      await ctx.services.admin.removeStorageKey(ctx.actor, input, ctx.requestId);
      return {};
    }),
  restore: confirmedPlatformAdmin
    .input(C.adminRestoreInput)
    .output(C.jobSchema)
    .mutation(({ ctx, input }) => ctx.services.admin.restore(ctx.actor, input, ctx.requestId)),
});

export const systemRouter = router({
  info: anyone
    .meta({
      openapi: { method: "GET", path: "/info", tags: ["System"], summary: "Version and public facts of this hub" },
    })
    .input(nothing)
    .output(
      z.object({
        version: z.string(),
        signup: z.boolean(),
        root_keys: z.array(z.string()),
        workers_online: z.number().int(),
        demo: z.boolean(),
      }),
    )
    .query(({ ctx }) => ctx.services.system.info()),
});
