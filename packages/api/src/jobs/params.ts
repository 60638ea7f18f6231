import {
  checkDepthSchema,
  connectionSchema,
  createRestoreInput,
  addressSchema,
  sourcePathSchema,
  timeSchema,
} from "@xvault/contracts";
import type { AuditPiece } from "@xvault/db";
import { z } from "zod";

/** A connection as job parameters keep it: ids and public facts, never a secret. */
export const connectionParams = connectionSchema;
export type ConnectionParams = z.infer<typeof connectionParams>;

/** What a job row's `params` hold, by type. Parsed whenever a row is leased. */
export const jobParams = {
  /** `full`: pull everything, whatever is known of the source. */
  backup: z.object({ paths: z.array(z.string()), full: z.boolean().default(false) }),
  restore: createRestoreInput
    .pick({ paths: true, overwrite: true, verify: true })
    .extend({ connection: connectionParams, path: sourcePathSchema }),
  quote: createRestoreInput
    .pick({ paths: true, overwrite: true })
    .extend({ connection: connectionParams, path: sourcePathSchema }),
  /** `depth` null: as deep as the keys allow. */
  verify: z.object({
    copy_id: z.string().optional(),
    depth: checkDepthSchema.nullable().default(null),
    share: z.number().min(0).max(1).default(1),
    lost_below: z.number().min(0).max(1).default(0.001),
    earlier: z.boolean().default(true),
  }),
  drill: z.object({ copy_id: z.string(), mode: z.enum(["sample", "all"]), files: z.number().int().min(1) }),
  transfer: z.object({
    copy_id: z.string(),
    storage_id: z.string(),
    remove: z.boolean(),
    reason: z.string(),
    /** Set when the job began: the old copy stays for now, since later snapshots beside it use its data. */
    kept: z.boolean().default(false),
  }),
  expire: z.object({ reason: z.string(), copy_id: z.string().optional() }),
  /** The entries that become the file, and what it is to be. */
  audit_archive: z.object({
    from_seq: z.number().int(),
    through_seq: z.number().int(),
    prev_hash: z.string(),
    hash: z.string(),
    first_at: timeSchema,
    last_at: timeSchema,
    size_bytes: z.number().int(),
    checksum: z.string(),
  }),
  storage_test: z.object({ storage_id: z.string() }),
  preflight: z.object({ connection: connectionParams, paths: z.array(sourcePathSchema) }),
  browse: z.object({ connection: connectionParams, path: sourcePathSchema }),
  probe: addressSchema,
} as const;

/** What a job that archives a piece of the audit log has to know of it. */
export function auditParamsOf(piece: AuditPiece): z.infer<typeof jobParams.audit_archive> {
  return {
    from_seq: piece.fromSeq,
    through_seq: piece.throughSeq,
    prev_hash: piece.prevHash,
    hash: piece.hash,
    first_at: piece.firstAt.toISOString(),
    last_at: piece.lastAt.toISOString(),
    size_bytes: piece.sizeBytes,
    checksum: piece.checksum,
  };
}
