import * as C from "@xvault/contracts";
import { z } from "zod";
import { member, router } from "../trpc.ts";

const read = member("viewer", "packages:read");
const write = member("operator", "packages:write");

export const packagesRouter = router({
  ingest: write
    .meta({
      openapi: {
        method: "POST",
        path: "/ingest",
        tags: ["Packages"],
        summary: "Announce a package; its source is registered where it is new",
        protect: true,
      },
      errors: ["SOURCE_PAUSED"],
      example: {
        source_id: "my-laptop",
        path: "backup/2024-01/data",
        checksum: "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03",
        size_bytes: 1_024_000,
        package_type: "user_data",
        tier_hint: "hot",
      },
    })
    .input(C.ingestInput)
    .output(C.ingestOutput)
    .mutation(({ ctx, input }) => ctx.services.packages.ingest(ctx.caller, input)),
  list: read
    .meta({
      openapi: {
        method: "GET",
        path: "/packages",
        tags: ["Packages"],
        summary: "Packages, newest first",
        protect: true,
      },
    })
    .input(C.listPackagesInput)
    .output(C.pageSchema(C.packageSchema))
    .query(({ ctx, input }) => ctx.services.packages.list(ctx.caller, input)),
  get: read
    .meta({
      openapi: { method: "GET", path: "/packages/{id}", tags: ["Packages"], summary: "One package", protect: true },
    })
    .input(z.object({ id: C.idSchema }))
    .output(C.packageSchema)
    .query(({ ctx, input }) => ctx.services.packages.get(ctx.caller, input.id)),
  update: write
    .meta({
      openapi: {
        method: "PATCH",
        path: "/packages/{id}",
        tags: ["Packages"],
        summary: "Report a package's progress or end",
        protect: true,
      },
      errors: ["CONFLICT", "CHECKSUM_MISMATCH"],
      example: { progress_percent: 75, status: "in_progress" },
    })
    .input(C.updatePackageInput)
    .output(C.packageSchema)
    .mutation(({ ctx, input }) => ctx.services.packages.update(ctx.caller, input)),
  upload: write
    .meta({
      openapi: {
        method: "POST",
        path: "/packages/{id}/upload",
        tags: ["Packages"],
        summary: "Get the place to send a package's bytes to, and the right to do so",
        protect: true,
      },
      errors: ["CONFLICT", "CHECKSUM_MISMATCH", "SOURCE_PAUSED", "NO_WORKER"],
      example: {
        size_bytes: 1_024_000,
        checksum: "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03",
      },
    })
    .input(C.uploadPackageInput)
    .output(C.uploadTicketSchema)
    .mutation(({ ctx, input }) => ctx.services.packages.upload(ctx.caller, input)),
});
