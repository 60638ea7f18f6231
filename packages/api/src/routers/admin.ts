import * as C from "@xvault/contracts";
import { z } from "zod";
import { anyone, platformAdmin, router } from "../trpc.ts";

const nothing = z.object({});
const byId = z.object({ id: C.idSchema });
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
  createEnrollment: platformAdmin
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
  storages: platformAdmin.output(z.array(C.platformStorageSchema)).query(({ ctx }) => ctx.services.admin.storages()),
  createStorage: platformAdmin
    .input(C.createPlatformStorageInput)
    .output(C.platformStorageSchema)
    .mutation(({ ctx, input }) => ctx.services.admin.createStorage(ctx.actor, input, ctx.requestId)),
  retireStorage: platformAdmin
    .input(byId)
    .output(nothing)
    .mutation(async ({ ctx, input }) => {
      await ctx.services.admin.retireStorage(ctx.actor, input.id, ctx.requestId);
      return {};
    }),
  restore: platformAdmin
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
