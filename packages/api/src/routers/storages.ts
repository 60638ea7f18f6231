import * as C from "@xvault/contracts";
import { z } from "zod";
import { member, router } from "../trpc.ts";
import { OF_QUESTIONS } from "./errors.ts";

const read = member("viewer", "storage:read");
const write = member("admin", "storage:write");
const byId = z.object({ id: C.idSchema });
const tags = ["Storage"];
const EXAMPLE_ID = "0199f2c4-7c1d-7a52-9d41-3f6f1c9b2a10";

/** Where snapshots lie. */
export const storagesRouter = router({
  list: read
    .meta({ openapi: { method: "GET", path: "/storages", tags, summary: "Storages of the workspace", protect: true } })
    .input(z.object({}))
    .output(z.object({ items: z.array(C.storageSchema) }))
    .query(async ({ ctx }) => ({ items: await ctx.services.storages.list(ctx.caller) })),
  get: read
    .meta({ openapi: { method: "GET", path: "/storages/{id}", tags, summary: "One storage", protect: true } })
    .input(byId)
    .output(C.storageSchema)
    .query(({ ctx, input }) => ctx.services.storages.get(ctx.caller, input.id)),
  create: write
    .meta({
      openapi: { method: "POST", path: "/storages", tags, summary: "Add a storage of one's own", protect: true },
      errors: ["CONFLICT"],
      example: {
        name: "Offsite bucket",
        tier: "offsite",
        place: { kind: "s3", config: { endpoint: "https://s3.example.com", region: "eu-1", bucket: "acme-backups" } },
        secret: { kind: "s3", access_key_id: "GK31c2f218a2e44f485b94239e", secret_access_key: "of-the-key" },
      },
    })
    .input(C.createStorageInput)
    .output(C.storageSchema)
    .mutation(({ ctx, input }) => ctx.services.storages.create(ctx.caller, input)),
  update: write
    .meta({
      openapi: {
        method: "PATCH",
        path: "/storages/{id}",
        tags,
        summary: "Rename a storage, change its tier or what opens it",
        protect: true,
      },
      errors: ["CONFLICT"],
      example: { tier: "cold" },
    })
    .input(C.updateStorageInput)
    .output(C.storageSchema)
    .mutation(({ ctx, input }) => ctx.services.storages.update(ctx.caller, input)),
  remove: write
    .meta({
      openapi: {
        method: "DELETE",
        path: "/storages/{id}",
        tags,
        summary: "Remove a storage without copies",
        protect: true,
      },
      errors: ["CONFLICT"],
    })
    .input(byId)
    .output(z.object({}))
    .mutation(async ({ ctx, input }) => {
      await ctx.services.storages.remove(ctx.caller, input.id);
      return {};
    }),
  test: write
    .meta({
      openapi: {
        method: "POST",
        path: "/storages/{id}/test",
        tags,
        summary: "Write, read back, list, delete; and try whether a lock holds",
        protect: true,
      },
      errors: [...OF_QUESTIONS, "STORAGE_KEY_MISSING", "TARGET_FORBIDDEN", "HOST_UNRESOLVED", "PATH_INVALID"],
    })
    .input(byId)
    .output(C.storageTestSchema)
    .mutation(({ ctx, input }) => ctx.services.storages.test(ctx.caller, input.id)),
  migrate: write
    .meta({
      openapi: {
        method: "POST",
        path: "/storages/{id}/migration",
        tags,
        summary: "Move all that lies there to another storage",
        protect: true,
      },
      errors: ["NO_WORKER", "STORAGE_KEY_MISSING", "OBJECT_LOCKED"],
      example: { to: EXAMPLE_ID, keep: false },
    })
    .input(C.migrateStorageInput)
    .output(C.migrateStorageOutput)
    .mutation(({ ctx, input }) => ctx.services.storages.migrate(ctx.caller, input)),
  placement: read
    .meta({
      openapi: {
        method: "GET",
        path: "/sources/{source_id}/placement",
        tags,
        summary: "Where a source writes to",
        protect: true,
      },
    })
    .input(z.object({ source_id: C.externalIdSchema }))
    .output(C.placementSchema)
    .query(({ ctx, input }) => ctx.services.storages.placement(ctx.caller, input.source_id)),
  setPlacement: write
    .meta({
      openapi: {
        method: "PUT",
        path: "/sources/{source_id}/placement",
        tags,
        summary: "Choose the storages that a source writes to",
        protect: true,
      },
      errors: ["STORAGE_KEY_MISSING"],
      example: { storage_ids: [EXAMPLE_ID] },
    })
    .input(C.setPlacementInput)
    .output(C.placementSchema)
    .mutation(({ ctx, input }) => ctx.services.storages.setPlacement(ctx.caller, input)),
  copy: write
    .meta({
      openapi: {
        method: "POST",
        path: "/snapshots/{snapshot_id}/copies",
        tags,
        summary: "Copy or move a snapshot to another storage",
        protect: true,
      },
      errors: ["CONFLICT", "ARTIFACT_MISSING", "STORAGE_KEY_MISSING", "OBJECT_LOCKED"],
      example: { storage_id: EXAMPLE_ID },
    })
    .input(C.copySnapshotInput)
    .output(C.jobSchema)
    .mutation(({ ctx, input }) => ctx.services.storages.copy(ctx.caller, input)),
});
