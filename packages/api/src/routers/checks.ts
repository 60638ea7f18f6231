import * as C from "@xvault/contracts";
import { z } from "zod";
import { member, router } from "../trpc.ts";
import { OF_COPIES } from "./errors.ts";

const read = member("viewer", "snapshots:read");
const run = member("operator", "backups:run");
const tags = ["Checks"];

export const checksRouter = router({
  policy: read
    .meta({
      openapi: {
        method: "GET",
        path: "/verification",
        tags,
        summary: "How copies are checked and restores are tried by themselves",
        protect: true,
      },
    })
    .input(z.object({}))
    .output(C.verificationPolicySchema)
    .query(({ ctx }) => ctx.services.checks.policy(ctx.caller)),
  setPolicy: member("admin", "workspace:write")
    .meta({
      openapi: {
        method: "PUT",
        path: "/verification",
        tags,
        summary: "Change how copies are checked and restores are tried",
        protect: true,
      },
    })
    .input(C.updateVerificationInput)
    .output(C.verificationPolicySchema)
    .mutation(({ ctx, input }) => ctx.services.checks.setPolicy(ctx.caller, input)),
  status: read
    .meta({
      openapi: {
        method: "GET",
        path: "/verification/status",
        tags,
        summary: "Where verification stands, and each source's last restore drill",
        protect: true,
      },
    })
    .input(z.object({}))
    .output(C.verificationStatusSchema)
    .query(({ ctx }) => ctx.services.checks.status(ctx.caller)),
  copies: read
    .meta({
      openapi: {
        method: "GET",
        path: "/verification/copies",
        tags,
        summary: "Copies with their last and their next check, those that were left alone longest first",
        protect: true,
      },
    })
    .input(C.listChecksInput)
    .output(C.pageSchema(C.checkedCopySchema))
    .query(({ ctx, input }) => ctx.services.checks.copies(ctx.caller, input)),
  check: run
    .meta({
      openapi: {
        method: "POST",
        path: "/snapshots/{id}/verification",
        tags,
        summary: "Check a copy of a snapshot to a depth",
        protect: true,
      },
      errors: ["KEY_CUSTOMER_HELD", ...OF_COPIES],
    })
    .input(C.checkSnapshotInput)
    .output(C.jobSchema)
    .mutation(({ ctx, input }) => ctx.services.checks.check(ctx.caller, input)),
  drill: run
    .meta({
      openapi: {
        method: "POST",
        path: "/snapshots/{id}/drill",
        tags,
        summary: "Restore a snapshot to nowhere, and sign what came of it",
        protect: true,
      },
      errors: ["KEY_CUSTOMER_HELD", ...OF_COPIES],
    })
    .input(C.drillInput)
    .output(C.jobSchema)
    .mutation(({ ctx, input }) => ctx.services.checks.drill(ctx.caller, input)),
  proofs: read
    .meta({
      openapi: { method: "GET", path: "/proofs", tags, summary: "Restore proofs, newest first", protect: true },
    })
    .input(C.listProofsInput)
    .output(C.pageSchema(C.proofSummarySchema))
    .query(({ ctx, input }) => ctx.services.checks.proofs(ctx.caller, input)),
  proof: read
    .meta({
      openapi: {
        method: "GET",
        path: "/proofs/{id}",
        tags,
        summary: "One restore proof, as it was signed: what 'xvault proof verify' checks offline",
        protect: true,
      },
    })
    .input(z.object({ id: C.idSchema }))
    .output(C.restoreProofSchema)
    .query(async ({ ctx, input }) => (await ctx.services.checks.proof(ctx.caller, input.id)).statement),
});
