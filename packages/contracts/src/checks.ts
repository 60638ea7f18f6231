import type { ErrorCode } from "@xvault/kernel";
import { z } from "zod";
import { idSchema, pageInputSchema, timeSchema } from "./common.ts";
import { restoreProofSchema } from "./proofs.ts";
import { checkDepthSchema, copySchema } from "./storages.ts";

/** Errors that are findings about a stored snapshot: what lies there is gone, or not what was stored. Every other one says nothing about it. */
export const DAMAGE_CODES: readonly ErrorCode[] = [
  "ARTIFACT_MISSING",
  "ARTIFACT_CORRUPT",
  "ARCHIVE_MALFORMED",
  "ARCHIVE_TRUNCATED",
  "TRAILING_DATA",
  "SIGNATURE_INVALID",
  "MANIFEST_TENANT_MISMATCH",
  "WINDOW_TOO_LARGE",
  "EXPANSION_LIMIT",
];

/** Days between two checks of one copy; null: not by itself. */
const intervalSchema = z.number().min(1).max(3650).nullable();
const drillModeSchema = z.enum(["sample", "all"]);
const drillFilesSchema = z.number().int().min(1).max(1000);

/** How a workspace's copies are checked by themselves, and how often a restore is tried. */
export const verificationPolicySchema = z.object({
  /** The objects are there, and as long as they should be. */
  presence_days: intervalSchema,
  /** Blocks drawn by chance from every copy, so many that the claim below holds for each storage as a whole. */
  sample_days: intervalSchema,
  /** How sure the samples make one that less than `lost_below` is lost. Both between 0 and 1. */
  confidence: z.number().min(0.5).max(0.999999),
  lost_below: z.number().min(0.00001).max(0.5),
  /** Every block. */
  whole_days: intervalSchema,
  /** Days between two restores to nowhere of each source's newest snapshot; null: not by itself. */
  drill_days: intervalSchema,
  /** Some files, and the largest and the newest; or all of them. */
  drill_mode: drillModeSchema,
  drill_files: drillFilesSchema,
});
export type VerificationPolicy = z.infer<typeof verificationPolicySchema>;

export const DEFAULT_VERIFICATION: VerificationPolicy = {
  presence_days: 1,
  sample_days: 7,
  confidence: 0.999,
  lost_below: 0.001,
  whole_days: 90,
  drill_days: 30,
  drill_mode: "sample",
  drill_files: 20,
};

/** What is left out stays as it is. */
export const updateVerificationInput = verificationPolicySchema.partial();

/** What the last check of a copy found. */
export const checkResultSchema = z.object({
  outcome: z.enum(["ok", "corrupt", "missing"]),
  at: timeSchema,
  depth: checkDepthSchema.optional(),
  job_id: idSchema.optional(),
  bytes: z.number().optional(),
  /** Of a sample: how sure it is that less than `lost_below` is lost; 0 when all was read. */
  confidence: z.number().optional(),
  lost_below: z.number().optional(),
  /** Of what was found damaged: code, cause and fix, and the snapshot that it lies in where that is an earlier one. */
  code: z.string().optional(),
  message: z.string().optional(),
  fix: z.string().optional(),
  in_snapshot_id: idSchema.optional(),
  /** When each depth was last passed; a deeper one passes those above it too. */
  passed: z.partialRecord(checkDepthSchema, timeSchema).optional(),
});
export type CheckResult = z.infer<typeof checkResultSchema>;

export const checkSnapshotInput = z.object({
  id: idSchema,
  /** Null: as deep as the keys allow. */
  depth: checkDepthSchema.nullable().default(null),
  /** Which copy; by default the one that is read first. */
  copy_id: idSchema.optional(),
});
export const drillInput = z.object({
  id: idSchema,
  mode: drillModeSchema.default("sample"),
  files: drillFilesSchema.default(20),
});

/** A copy, when it was checked last, and what is due next. */
export const checkedCopySchema = copySchema.extend({
  source_id: idSchema,
  source_name: z.string(),
  snapshot_at: timeSchema,
  last: checkResultSchema.nullable(),
  /** The next check that the workspace's policy wants; null where it wants none. */
  due: z.object({ depth: checkDepthSchema, at: timeSchema }).nullable(),
});
export type CheckedCopy = z.infer<typeof checkedCopySchema>;
export const listChecksInput = pageInputSchema.extend({
  state: z.enum(["all", "damaged"]).default("all"),
});

/** Where verification stands, in numbers. */
export const verificationStatusSchema = z.object({
  policy: verificationPolicySchema,
  copies: z.number().int(),
  damaged: z.number().int(),
  /** Copies whose due check has not come for a day. */
  overdue: z.number().int(),
  /** When the copy that was left alone longest was last looked at; null without copies. */
  oldest_check_at: timeSchema.nullable(),
  sources: z.array(
    z.object({
      source_id: idSchema,
      source_name: z.string(),
      key_holder: z.enum(["platform", "customer"]),
      newest_snapshot_id: idSchema,
      /** How soon a restore is to be done, by the objective of the tier that it would be read from; null: nobody said, or nothing can be read. */
      objective_seconds: z.number().nullable(),
      /** What restoring all of it would bring back. Bytes. */
      plain_bytes: z.number(),
      drill: z
        .object({
          proof_id: idSchema,
          passed: z.boolean(),
          at: timeSchema,
          seconds: z.number(),
          /** How long all of it would take at the speed that was measured; null where that cannot be said. */
          all_seconds: z.number().nullable(),
        })
        .nullable(),
      /** When the next drill is due; null where none is. */
      due_at: timeSchema.nullable(),
    }),
  ),
});
export type VerificationStatus = z.infer<typeof verificationStatusSchema>;

export const proofSummarySchema = z.object({
  id: idSchema,
  source_id: idSchema,
  source_name: z.string(),
  snapshot_id: idSchema,
  job_id: idSchema.nullable(),
  passed: z.boolean(),
  statement: restoreProofSchema,
  created_at: timeSchema,
});
export type ProofSummary = z.infer<typeof proofSummarySchema>;
export const listProofsInput = pageInputSchema.extend({ snapshot_id: idSchema.optional() });
