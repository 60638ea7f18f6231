import { z } from "zod";
import { externalIdSchema, idSchema, pageInputSchema, timeSchema } from "./common.ts";
import { jobStatusSchema } from "./jobs.ts";
import { packageTypeSchema, tierSchema } from "./tiers.ts";

/** SHA-256 in hexadecimal, with or without 'sha256:' in front; kept as 64 lower-case digits. */
export const checksumSchema = z
  .string()
  .trim()
  .regex(/^(sha256:)?[0-9a-f]{64}$/i, "a SHA-256 in hexadecimal")
  .transform((text) => text.toLowerCase().replace(/^sha256:/, ""));

/** A path as the edge client names it, relative to its source; a label, never part of a path on storage. */
const logicalPathSchema = z
  .string()
  .min(1)
  .max(4096)
  .refine((path) => !path.includes("\0"), "a path without NUL");

/** The seeds' `POST /ingest`: an edge client says that it packages something. */
export const ingestInput = z
  .object({
    source_id: externalIdSchema,
    path: logicalPathSchema,
    checksum: checksumSchema.optional(),
    size_bytes: z.number().int().min(0).max(Number.MAX_SAFE_INTEGER).optional(),
    package_type: packageTypeSchema.default("user_data"),
    tier_hint: tierSchema.exclude(["offsite"]).optional(),
  })
  .refine((input) => !input.size_bytes || input.checksum !== undefined, {
    path: ["checksum"],
    message: "required where size_bytes is above 0",
  });

/** `job_id` names the job and the package that it brings: both have this one id. */
export const ingestOutput = z.object({ job_id: idSchema });

/** The seeds' `PATCH /packages/{id}`: how far the client is. What has ended stays as it ended. */
export const updatePackageInput = z.object({
  id: idSchema,
  progress_percent: z.number().min(0).max(100).optional(),
  checksum: checksumSchema.optional(),
  status: jobStatusSchema.optional(),
});

/** Asks for a place to send a package's bytes to. Size and checksum are needed where the package was announced without them. */
export const uploadPackageInput = z.object({
  id: idSchema,
  size_bytes: z.number().int().min(0).max(Number.MAX_SAFE_INTEGER).optional(),
  checksum: checksumSchema.optional(),
});

/** The right to send one package's bytes to one worker, by the tus protocol's `HEAD` and `PATCH`. The hub itself carries no bytes. */
export const uploadTicketSchema = z.object({
  /** Where the bytes go. */
  upload_url: z.string(),
  /** Goes along with every request: `Authorization: Bearer …`. */
  ticket: z.string(),
  expires_at: timeSchema,
  size_bytes: z.number(),
  /** How many bytes the hub has heard to be there; the worker's answer to `HEAD` says it exactly. */
  offset: z.number(),
});
export type UploadTicket = z.infer<typeof uploadTicketSchema>;

/** What such a ticket says, inside its signature. */
export const uploadClaimsSchema = z.object({
  kind: z.literal("upload"),
  tenant_id: idSchema,
  job_id: idSchema,
});

export const listPackagesInput = pageInputSchema.extend({
  status: jobStatusSchema.optional(),
  source_id: externalIdSchema.optional(),
  bucket: tierSchema.optional(),
});

export const packageSchema = z.object({
  /** The same as `job_id`: each announcement is one package. */
  id: idSchema,
  job_id: idSchema,
  /** The edge client's own name for its source. */
  source_id: z.string(),
  path: z.string(),
  package_type: packageTypeSchema,
  status: jobStatusSchema,
  progress_percent: z.number(),
  checksum: z.string().nullable(),
  size_bytes: z.number().nullable(),
  tier: tierSchema,
  bucket: tierSchema,
  /** The snapshot that holds its bytes. */
  snapshot_id: idSchema.nullable(),
  /**
   * What backs the claim. 'reported': the client says so, xVault has seen no byte of it, and it counts as no protection. 'stored': it is a
   * snapshot. 'verified': its stored bytes were checked since. 'lost': no copy is whole any more. 'removed': it was expired or removed.
   */
  evidence: z.enum(["reported", "stored", "verified", "lost", "removed"]),
  created_at: timeSchema,
  updated_at: timeSchema,
});
export type Package = z.infer<typeof packageSchema>;
