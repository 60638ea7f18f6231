import * as C from "@xvault/contracts";
import { z } from "zod";
import { member, router } from "../trpc.ts";

const read = member("viewer", "retention:read");
const write = member("admin", "retention:write");
const tags = ["Retention"];
const done = z.object({ ok: z.literal(true) });
const ok = { ok: true } as const;

/** How long what is kept, where, and what comes next. */
export const retentionRouter = router({
  config: read
    .meta({
      openapi: {
        method: "GET",
        path: "/config",
        tags,
        summary: "Retention: preset, figures, rule sets",
        protect: true,
      },
    })
    .input(z.object({}))
    .output(C.configSchema)
    .query(({ ctx }) => ctx.services.retention.config(ctx.caller)),
  updateConfig: write
    .meta({
      openapi: {
        method: "PATCH",
        path: "/config",
        tags,
        summary: "Choose a preset, or set figures otherwise",
        protect: true,
      },
      errors: ["RETENTION_INVALID"],
    })
    .input(C.updateConfigInput)
    .output(C.configSchema)
    .mutation(({ ctx, input }) => ctx.services.retention.updateConfig(ctx.caller, input)),
  rules: read
    .meta({
      openapi: {
        method: "GET",
        path: "/retention/{package_type}",
        tags,
        summary: "The rules of a package type",
        protect: true,
      },
    })
    .input(C.typeInput)
    .output(C.typeRulesSchema)
    .query(({ ctx, input }) => ctx.services.retention.rules(ctx.caller, input.package_type)),
  setRules: write
    .meta({
      openapi: {
        method: "PUT",
        path: "/retention/{package_type}",
        tags,
        summary: "Set rules of a package type; what is left out follows the workspace's",
        protect: true,
      },
      errors: ["RETENTION_INVALID"],
    })
    .input(C.setRulesInput)
    .output(C.typeRulesSchema)
    .mutation(({ ctx, input }) => ctx.services.retention.setRules(ctx.caller, input)),
  simulate: read
    .meta({
      openapi: {
        method: "POST",
        path: "/retention/simulation",
        tags,
        summary: "What rules would keep of a source that is backed up so often",
        protect: true,
      },
      errors: ["RETENTION_INVALID"],
    })
    .input(C.simulateInput)
    .output(C.simulationSchema)
    .mutation(({ ctx, input }) => ctx.services.retention.simulate(ctx.caller, input)),
  plan: read
    .meta({
      openapi: {
        method: "GET",
        path: "/retention/plan",
        tags,
        summary: "What the rules would do now, and what waits for what",
        protect: true,
      },
    })
    .input(z.object({}))
    .output(C.planSchema)
    .query(({ ctx }) => ctx.services.retention.plan(ctx.caller)),
  projections: read
    .meta({
      openapi: {
        method: "GET",
        path: "/projections",
        tags,
        summary: "What moves or ends within so many days or seconds",
        protect: true,
      },
    })
    .input(C.projectionsInput)
    .output(C.projectionsSchema)
    .query(({ ctx, input }) => ctx.services.retention.projections(ctx.caller, input)),
  suspicions: read
    .meta({
      openapi: {
        method: "GET",
        path: "/retention/suspicions",
        tags,
        summary: "Sources where something looks wrong, so that nothing of them ends",
        protect: true,
      },
    })
    .input(z.object({}))
    .output(z.array(C.suspicionSchema))
    .query(({ ctx }) => ctx.services.retention.suspicions(ctx.caller)),
  acknowledge: write
    .meta({
      openapi: {
        method: "POST",
        path: "/sources/{source_id}/acknowledge",
        tags,
        summary: "Say that what looks wrong with a source is right",
        protect: true,
      },
      errors: ["CONFLICT"],
    })
    .input(C.acknowledgeInput)
    .output(done)
    .mutation(async ({ ctx, input }) => {
      await ctx.services.retention.acknowledge(ctx.caller, input);
      return ok;
    }),
  resume: write
    .meta({
      openapi: {
        method: "POST",
        path: "/retention/resume",
        tags,
        summary: "Say that the clocks are right, after one that jumped",
        protect: true,
      },
    })
    .input(z.object({}))
    .output(done)
    .mutation(async ({ ctx }) => {
      await ctx.services.retention.resume(ctx.caller);
      return ok;
    }),
  buckets: read
    .meta({
      openapi: {
        method: "GET",
        path: "/buckets",
        tags,
        summary: "What lies in each tier, and what comes and goes",
        protect: true,
      },
    })
    .input(C.bucketsInput)
    .output(C.bucketsSchema)
    .query(({ ctx, input }) => ctx.services.retention.buckets(ctx.caller, input.days)),
  status: read
    .meta({
      openapi: {
        method: "GET",
        path: "/status",
        tags: ["System"],
        summary: "How the parts of xVault are",
        protect: true,
      },
    })
    .input(z.object({}))
    .output(C.statusSchema)
    .query(({ ctx }) => ctx.services.retention.status(ctx.caller)),
});
