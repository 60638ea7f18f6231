import { z } from "zod";
import { idSchema, keyModeSchema, timeSchema } from "./common.ts";
import { createRestoreInput } from "./jobs.ts";

export const workerSchema = z.object({
  id: idSchema,
  name: z.string(),
  state: z.enum(["online", "offline", "draining", "revoked"]),
  version: z.string(),
  capabilities: z.record(z.string(), z.unknown()),
  storage_base_path: z.string(),
  data_url: z.string(),
  concurrency: z.number().int(),
  running_jobs: z.number().int(),
  free_bytes: z.number().nullable(),
  enrolled_at: timeSchema,
  last_seen_at: timeSchema.nullable(),
});
export type Worker = z.infer<typeof workerSchema>;

export const tenantSummarySchema = z.object({
  id: idSchema,
  name: z.string(),
  key_mode: keyModeSchema,
  owner_email: z.string().nullable(),
  sources: z.number().int(),
  snapshots: z.number().int(),
  stored_bytes: z.number(),
  created_at: timeSchema,
});
export type TenantSummary = z.infer<typeof tenantSummarySchema>;

export const enrollmentSchema = z.object({ token: z.string(), expires_at: timeSchema });

/** Restore on a tenant's behalf. The reason lands in that tenant's audit log. */
export const adminRestoreInput = createRestoreInput.extend({
  tenant_id: idSchema,
  reason: z.string().trim().min(8).max(500),
});
