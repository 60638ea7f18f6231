import * as C from "@xvault/contracts";
import { z } from "zod";
import { member, router } from "../trpc.ts";
import { OF_COPIES, OF_LOGINS, OF_QUESTIONS, OF_STORED_BYTES } from "./errors.ts";

const read = member("viewer", "jobs:read");

export const jobsRouter = router({
  list: read
    .meta({ openapi: { method: "GET", path: "/jobs", tags: ["Jobs"], summary: "Jobs, newest first", protect: true } })
    .input(C.listJobsInput)
    .output(C.pageSchema(C.jobSchema))
    .query(({ ctx, input }) => ctx.services.jobs.list(ctx.caller, input)),
  get: read
    .meta({ openapi: { method: "GET", path: "/jobs/{id}", tags: ["Jobs"], summary: "One job", protect: true } })
    .input(z.object({ id: C.idSchema }))
    .output(C.jobSchema)
    .query(({ ctx, input }) => ctx.services.jobs.get(ctx.caller, input.id)),
  events: read
    .meta({
      openapi: { method: "GET", path: "/jobs/{id}/events", tags: ["Jobs"], summary: "A job's log", protect: true },
    })
    .input(
      z.object({
        id: C.idSchema,
        after: z.coerce.number().int().min(0).default(0),
        limit: z.coerce.number().int().min(1).max(1000).default(500),
      }),
    )
    .output(z.object({ items: z.array(C.jobEventSchema) }))
    .query(async ({ ctx, input }) => ({
      items: await ctx.services.jobs.events(ctx.caller, input.id, input.after, input.limit),
    })),
  watch: read.input(z.object({ id: C.idSchema })).subscription(async function* ({ ctx, input, signal }) {
    yield* ctx.services.jobs.watch(ctx.caller, input.id, signal ?? new AbortController().signal);
  }),
  cancel: member("operator", "backups:run")
    .meta({
      openapi: { method: "POST", path: "/jobs/{id}/cancel", tags: ["Jobs"], summary: "Cancel a job", protect: true },
      errors: ["JOB_NOT_CANCELLABLE"],
    })
    .input(z.object({ id: C.idSchema }))
    .output(C.jobSchema)
    .mutation(({ ctx, input }) => ctx.services.jobs.cancel(ctx.caller, input.id)),
});

export const snapshotsRouter = router({
  list: member("viewer", "snapshots:read")
    .meta({
      openapi: {
        method: "GET",
        path: "/snapshots",
        tags: ["Snapshots"],
        summary: "Snapshots, newest first",
        protect: true,
      },
    })
    .input(C.listSnapshotsInput)
    .output(C.pageSchema(C.snapshotSchema))
    .query(({ ctx, input }) => ctx.services.snapshots.list(ctx.caller, input)),
  get: member("viewer", "snapshots:read")
    .meta({
      openapi: {
        method: "GET",
        path: "/snapshots/{id}",
        tags: ["Snapshots"],
        summary: "One snapshot with its signed manifest",
        protect: true,
      },
    })
    .input(z.object({ id: z.string().min(4).max(36) }))
    .output(C.snapshotDetailSchema)
    .query(({ ctx, input }) => ctx.services.snapshots.get(ctx.caller, input.id)),
  verify: member("operator", "backups:run")
    .meta({
      openapi: {
        method: "POST",
        path: "/snapshots/{id}/verify",
        tags: ["Snapshots"],
        summary: "Verify a snapshot's stored bytes",
        protect: true,
      },
      errors: [...OF_COPIES],
    })
    .input(z.object({ id: C.idSchema }))
    .output(C.jobSchema)
    .mutation(({ ctx, input }) => ctx.services.checks.check(ctx.caller, { id: input.id, depth: null })),
  remove: member("admin", "snapshots:remove", { confirmed: true })
    .meta({
      openapi: {
        method: "DELETE",
        path: "/snapshots/{id}",
        tags: ["Snapshots"],
        summary: "Remove a snapshot for good",
        protect: true,
      },
      errors: ["CONFLICT", "SNAPSHOT_NEEDED", "OBJECT_LOCKED", ...OF_COPIES],
    })
    .input(C.removeSnapshotInput)
    .output(C.jobSchema)
    .mutation(({ ctx, input }) => ctx.services.snapshots.remove(ctx.caller, input)),
  pin: member("operator", "retention:write")
    .meta({
      openapi: {
        method: "POST",
        path: "/snapshots/{id}/pin",
        tags: ["Snapshots"],
        summary: "Keep a snapshot whatever the rules say",
        protect: true,
      },
    })
    .input(C.pinInput)
    .output(C.snapshotSchema)
    .mutation(({ ctx, input }) => ctx.services.snapshots.pin(ctx.caller, input)),
  unpin: member("operator", "retention:write")
    .meta({
      openapi: {
        method: "DELETE",
        path: "/snapshots/{id}/pin",
        tags: ["Snapshots"],
        summary: "Let the rules have a snapshot again",
        protect: true,
      },
    })
    .input(z.object({ id: C.idSchema }))
    .output(C.snapshotSchema)
    .mutation(({ ctx, input }) => ctx.services.snapshots.unpin(ctx.caller, input.id)),
  hold: member("admin", "retention:write")
    .meta({
      openapi: {
        method: "PUT",
        path: "/snapshots/{id}/hold",
        tags: ["Snapshots"],
        summary: "Keep a snapshot until a time at least, or lift that",
        protect: true,
      },
    })
    .input(C.holdInput)
    .output(C.snapshotSchema)
    .mutation(({ ctx, input }) => ctx.services.snapshots.hold(ctx.caller, input)),
  browseTicket: member("viewer", "snapshots:read")
    .meta({
      openapi: {
        method: "POST",
        path: "/snapshots/{snapshot_id}/browse-ticket",
        tags: ["Snapshots"],
        summary: "A ticket to list a snapshot's files at its worker",
        protect: true,
      },
      errors: ["KEY_CUSTOMER_HELD", ...OF_COPIES],
    })
    .input(C.browseTicketInput)
    .output(C.ticketSchema)
    .mutation(({ ctx, input }) => ctx.services.snapshots.browseTicket(ctx.caller, input.snapshot_id)),
  downloadTicket: member("admin", "restores:run", { confirmed: true })
    .meta({
      openapi: {
        method: "POST",
        path: "/snapshots/{snapshot_id}/download-ticket",
        tags: ["Snapshots"],
        summary: "A ticket to download from a snapshot at its worker",
        protect: true,
      },
      errors: ["KEY_CUSTOMER_HELD", ...OF_COPIES],
    })
    .input(C.downloadTicketInput)
    .output(C.downloadTicketSchema)
    .mutation(({ ctx, input }) => ctx.services.snapshots.downloadTicket(ctx.caller, input)),
});

export const restoresRouter = router({
  create: member("admin", "restores:run", { confirmed: true })
    .meta({
      openapi: {
        method: "POST",
        path: "/restores",
        tags: ["Restores"],
        summary: "Restore to a path on a source",
        protect: true,
      },
      errors: ["KEY_CUSTOMER_HELD", ...OF_COPIES],
      example: {
        snapshot_id: "0199f2c4-a3b7-7f08-9c6e-0d4b8e71f213",
        paths: ["/srv/mail/inbox"],
        target: { source_id: "0199f2c4-91aa-7c43-b0f3-52d1a6c07e12", path: "/srv/restored" },
      },
    })
    .input(C.createRestoreInput)
    .output(C.jobSchema)
    .mutation(({ ctx, input }) => ctx.services.jobs.restore(ctx.caller, input)),
  quote: member("admin", "restores:run")
    .meta({
      openapi: {
        method: "POST",
        path: "/restores/quote",
        tags: ["Restores"],
        summary: "What a restore would do, without writing anything",
        protect: true,
      },
      errors: [
        "KEY_CUSTOMER_HELD",
        "ENTRY_CONFLICT",
        "ENTRY_THROUGH_SYMLINK",
        "PATH_DENIED",
        ...OF_COPIES,
        ...OF_STORED_BYTES,
        ...OF_QUESTIONS,
        ...OF_LOGINS,
      ],
      example: {
        snapshot_id: "0199f2c4-a3b7-7f08-9c6e-0d4b8e71f213",
        paths: ["/srv/mail/inbox"],
        target: { source_id: "0199f2c4-91aa-7c43-b0f3-52d1a6c07e12", path: "/srv/restored" },
      },
    })
    .input(C.quoteRestoreInput)
    .output(C.restoreQuoteSchema)
    .mutation(({ ctx, input }) => ctx.services.jobs.quote(ctx.caller, input)),
});
