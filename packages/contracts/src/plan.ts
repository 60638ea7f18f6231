import { z } from "zod";
import { idSchema } from "./common.ts";

/** An artifact that the files of a plan state lie in. */
export const planArtifactSchema = z.object({
  snapshot_id: idSchema,
  /** Null for the artifact of the snapshot that the state belongs to: its manifest is signed after the state is written. */
  manifest_sha256: z.string().nullable(),
  /** Bytes of files that were packed into it, and how many of them the state's snapshot still needs. */
  packed_bytes: z.number().min(0),
  live_bytes: z.number().min(0),
});
export type PlanArtifact = z.infer<typeof planArtifactSchema>;

/** The head of a plan state: what the next run of a source compares its listing with. Names no file. */
export const planHeadSchema = z.object({
  format: z.literal(1),
  kind: z.literal("xvault-plan"),
  tenant_id: idSchema,
  source_id: idSchema,
  snapshot_id: idSchema,
  /** Fingerprints of the recipients that all these artifacts are encrypted to, sorted. */
  recipients: z.array(z.string()),
  artifacts: z.array(planArtifactSchema),
  records: z.number().int().min(0),
});
export type PlanHead = z.infer<typeof planHeadSchema>;

/** The data runs of one sparse file, by its path's mark in hex. */
export const planSparseSchema = z.object({ mark: z.string(), runs: z.array(z.tuple([z.number(), z.number()])) });
