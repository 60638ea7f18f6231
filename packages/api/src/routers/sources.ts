import * as C from "@xvault/contracts";
import { z } from "zod";
import { member, router, signedIn } from "../trpc.ts";
import { OF_LOGINS, OF_QUESTIONS, OF_SCHEDULES } from "./errors.ts";

const byId = z.object({ id: z.string().min(1).max(256) });
const nothing = z.object({});
const read = member("viewer", "sources:read");
const write = member("admin", "sources:write");

export const sourcesRouter = router({
  list: read
    .meta({ openapi: { method: "GET", path: "/sources", tags: ["Sources"], summary: "All sources", protect: true } })
    .input(nothing)
    .output(z.object({ items: z.array(C.sourceSchema) }))
    .query(async ({ ctx }) => ({ items: await ctx.services.sources.list(ctx.caller) })),
  get: read
    .meta({
      openapi: { method: "GET", path: "/sources/{id}", tags: ["Sources"], summary: "One source", protect: true },
    })
    .input(byId)
    .output(C.sourceSchema)
    .query(({ ctx, input }) => ctx.services.sources.get(ctx.caller, input.id)),
  create: write
    .meta({
      openapi: { method: "POST", path: "/sources", tags: ["Sources"], summary: "Add a source", protect: true },
      errors: ["USERNAME_INVALID", "CONFLICT", "STORAGE_KEY_MISSING", ...OF_SCHEDULES],
      example: { source_id: "my-laptop", label: "Ann's laptop" },
    })
    .input(C.createSourceInput)
    .output(C.sourceSchema)
    .mutation(({ ctx, input }) => ctx.services.sources.create(ctx.caller, input)),
  update: write
    .meta({
      openapi: { method: "PATCH", path: "/sources/{id}", tags: ["Sources"], summary: "Change a source", protect: true },
      errors: ["USERNAME_INVALID"],
      example: { name: "mail-01", excludes: ["*.tmp"] },
    })
    .input(C.updateSourceInput)
    .output(C.sourceSchema)
    .mutation(({ ctx, input }) => ctx.services.sources.update(ctx.caller, input)),
  remove: write
    .meta({
      openapi: {
        method: "DELETE",
        path: "/sources/{id}",
        tags: ["Sources"],
        summary: "Remove a source; its snapshots stay",
        protect: true,
      },
    })
    .input(byId)
    .output(nothing)
    .mutation(async ({ ctx, input }) => {
      await ctx.services.sources.remove(ctx.caller, input.id);
      return {};
    }),
  pause: write
    .meta({
      openapi: {
        method: "POST",
        path: "/sources/{id}/pause",
        tags: ["Sources"],
        summary: "Pause a source",
        protect: true,
      },
    })
    .input(byId)
    .output(C.sourceSchema)
    .mutation(({ ctx, input }) => ctx.services.sources.setPaused(ctx.caller, input.id, true)),
  resume: write
    .meta({
      openapi: {
        method: "POST",
        path: "/sources/{id}/resume",
        tags: ["Sources"],
        summary: "Resume a source",
        protect: true,
      },
    })
    .input(byId)
    .output(C.sourceSchema)
    .mutation(({ ctx, input }) => ctx.services.sources.setPaused(ctx.caller, input.id, false)),
  createCredential: write
    .meta({
      openapi: {
        method: "POST",
        path: "/credentials",
        tags: ["Sources"],
        summary: "Make or store a credential",
        protect: true,
      },
      errors: ["KEY_INVALID", "KEY_PASSPHRASE_REQUIRED"],
    })
    .input(z.object({ credential: C.createCredentialInput }))
    .output(C.credentialSchema)
    .mutation(({ ctx, input }) => ctx.services.sources.createCredential(ctx.caller, input.credential)),
  probe: write
    .meta({
      openapi: {
        method: "POST",
        path: "/connections/host-key",
        tags: ["Sources"],
        summary: "Ask a host for its key",
        protect: true,
      },
      errors: [...OF_QUESTIONS, "TARGET_FORBIDDEN", "HOST_UNRESOLVED", "HOST_UNREACHABLE"],
    })
    .input(C.addressSchema)
    .output(C.hostKeySchema)
    .mutation(({ ctx, input }) => ctx.services.sources.probe(ctx.caller, input)),
  test: write
    .meta({
      openapi: {
        method: "POST",
        path: "/connections/test",
        tags: ["Sources"],
        summary: "Test a connection, check by check",
        protect: true,
      },
      // What it meets at the server is one of its checks, and no error.
      errors: [...OF_QUESTIONS, "USERNAME_INVALID"],
      example: { source_id: "0199f2c4-91aa-7c43-b0f3-52d1a6c07e12", paths: ["/srv/mail"] },
    })
    .input(C.tryConnectionInput.extend({ paths: z.array(C.sourcePathSchema).max(100).default([]) }))
    .output(C.preflightResultSchema)
    .mutation(({ ctx, input }) => ctx.services.sources.test(ctx.caller, input)),
  browse: write
    .meta({
      openapi: {
        method: "POST",
        path: "/connections/browse",
        tags: ["Sources"],
        summary: "List a directory of a server",
        protect: true,
      },
      errors: [...OF_QUESTIONS, ...OF_LOGINS, "USERNAME_INVALID", "PATH_INVALID", "PATH_MISSING", "PATH_DENIED"],
      example: { source_id: "0199f2c4-91aa-7c43-b0f3-52d1a6c07e12", path: "/srv" },
    })
    .input(C.tryConnectionInput.extend({ path: C.sourcePathSchema.default("/") }))
    .output(C.browseResultSchema)
    .mutation(({ ctx, input }) => ctx.services.sources.browse(ctx.caller, input)),
  backUp: member("operator", "backups:run")
    .meta({
      openapi: {
        method: "POST",
        path: "/sources/{id}/backup",
        tags: ["Jobs"],
        summary: "Back a source up now",
        protect: true,
      },
      errors: ["SOURCE_PAUSED"],
      example: { full: false },
    })
    .input(byId.extend({ full: z.boolean().default(false) }))
    .output(C.jobSchema)
    .mutation(({ ctx, input }) => ctx.services.jobs.backUp(ctx.caller, input)),
});

export const schedulesRouter = router({
  list: read
    .meta({
      openapi: { method: "GET", path: "/schedules", tags: ["Schedules"], summary: "All schedules", protect: true },
    })
    .input(nothing)
    .output(z.object({ items: z.array(C.scheduleSchema) }))
    .query(async ({ ctx }) => ({ items: await ctx.services.schedules.list(ctx.caller) })),
  create: write
    .meta({
      openapi: { method: "POST", path: "/schedules", tags: ["Schedules"], summary: "Schedule a source", protect: true },
      errors: [...OF_SCHEDULES],
    })
    .input(C.createScheduleInput)
    .output(C.scheduleSchema)
    .mutation(({ ctx, input }) => ctx.services.schedules.create(ctx.caller, input)),
  update: write
    .meta({
      openapi: {
        method: "PATCH",
        path: "/schedules/{id}",
        tags: ["Schedules"],
        summary: "Change a schedule",
        protect: true,
      },
      errors: [...OF_SCHEDULES],
      example: { cron: "30 2 * * *", timezone: "Europe/Rome" },
    })
    .input(C.updateScheduleInput)
    .output(C.scheduleSchema)
    .mutation(({ ctx, input }) => ctx.services.schedules.update(ctx.caller, input)),
  remove: write
    .meta({
      openapi: {
        method: "DELETE",
        path: "/schedules/{id}",
        tags: ["Schedules"],
        summary: "Remove a schedule",
        protect: true,
      },
    })
    .input(z.object({ id: C.idSchema }))
    .output(nothing)
    .mutation(async ({ ctx, input }) => {
      await ctx.services.schedules.remove(ctx.caller, input.id);
      return {};
    }),
  preview: signedIn
    .meta({
      openapi: {
        method: "GET",
        path: "/schedules/preview",
        tags: ["Schedules"],
        summary: "When a schedule would run next",
        protect: true,
      },
      errors: [...OF_SCHEDULES],
    })
    .input(
      z.object({
        cron: z.string().max(100),
        timezone: z.string().max(64),
        count: z.number().int().min(1).max(20).default(5),
      }),
    )
    .output(z.array(C.timeSchema))
    .query(({ ctx, input }) => ctx.services.schedules.preview(input.cron, input.timezone, input.count)),
});
