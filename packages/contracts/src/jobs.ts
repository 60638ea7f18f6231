import { z } from "zod";
import { errorReportSchema, idSchema, pageInputSchema, snapshotPathSchema, timeSchema } from "./common.ts";
import { sourcePathSchema } from "./sources.ts";

export const jobTypeSchema = z.enum([
  "backup",
  "restore",
  "verify",
  "drill",
  "transfer",
  "expire",
  "ingest",
  "audit_archive",
  "preflight",
  "browse",
  "probe",
  "quote",
  "storage_test",
]);
export type JobType = z.infer<typeof jobTypeSchema>;

export const jobStateSchema = z.enum(["queued", "running", "success", "warning", "failed", "cancelled"]);
export type JobState = z.infer<typeof jobStateSchema>;

/** The edge seeds' own enum for the same thing. */
export const jobStatusSchema = z.enum(["pending", "in_progress", "completed", "failed"]);
export type JobStatus = z.infer<typeof jobStatusSchema>;

/** queued → pending; running → in_progress; success, warning → completed; failed, cancelled → failed. */
export function jobStatus(state: JobState): JobStatus {
  if (state === "queued") return "pending";
  if (state === "running") return "in_progress";
  return state === "success" || state === "warning" ? "completed" : "failed";
}

/** The states that the seed's `status` filter stands for. */
export const STATES_OF_STATUS: Record<JobStatus, JobState[]> = {
  pending: ["queued"],
  in_progress: ["running"],
  completed: ["success", "warning"],
  failed: ["failed", "cancelled"],
};

/** The steps of each kind of job in their order; pull to store run at once, as one stream. */
export const JOB_STEPS = {
  backup: ["connect", "list", "pull", "pack", "encrypt", "store", "verify", "publish"],
  restore: ["check", "unlock", "connect", "write", "finish"],
  verify: ["check", "unlock", "read"],
  drill: ["check", "unlock", "read", "sign"],
  transfer: ["check", "copy", "verify", "remove"],
  expire: ["remove"],
  ingest: ["receive"],
  audit_archive: ["receive", "verify", "publish"],
  preflight: ["connect"],
  browse: ["connect"],
  probe: ["connect"],
  quote: ["check", "unlock", "connect", "compare"],
  storage_test: ["connect"],
} as const satisfies Record<JobType, readonly string[]>;

/** What a job has done so far. Rates in bytes a second, times in seconds; null where not known yet. */
export const jobProgressSchema = z.object({
  step: z.string(),
  files_done: z.number().int(),
  files_total: z.number().int().nullable(),
  bytes_done: z.number(),
  bytes_total: z.number().nullable(),
  percent: z.number().min(0).max(100).nullable(),
  rate: z.number().nullable(),
  eta_seconds: z.number().nullable(),
  current_path: z.string().nullable(),
});
export type JobProgress = z.infer<typeof jobProgressSchema>;

export const jobSchema = z.object({
  id: idSchema,
  job_id: z.string(),
  type: jobTypeSchema,
  state: jobStateSchema,
  status: jobStatusSchema,
  trigger: z.enum(["manual", "schedule", "api", "admin", "system"]),
  source_id: z.string().nullable(),
  source_name: z.string().nullable(),
  snapshot_id: idSchema.nullable(),
  worker_id: idSchema.nullable(),
  attempt: z.number().int(),
  max_attempts: z.number().int(),
  progress: jobProgressSchema.nullable(),
  progress_percent: z.number(),
  path: z.string(),
  tier: z.string(),
  error: errorReportSchema.nullable(),
  /** What the job found or made: counts for a backup or restore, checks for a preflight. */
  result: z.record(z.string(), z.unknown()).nullable(),
  cancel_requested: z.boolean(),
  next_attempt_at: timeSchema.nullable(),
  created_at: timeSchema,
  updated_at: timeSchema,
  started_at: timeSchema.nullable(),
  finished_at: timeSchema.nullable(),
});
export type Job = z.infer<typeof jobSchema>;

export const jobEventSchema = z.object({
  id: z.number().int(),
  attempt: z.number().int(),
  at: timeSchema,
  step: z.string(),
  level: z.enum(["info", "warning", "error"]),
  message: z.string(),
});
export type JobEvent = z.infer<typeof jobEventSchema>;

export const listJobsInput = pageInputSchema.extend({
  status: jobStatusSchema.optional(),
  state: jobStateSchema.optional(),
  type: jobTypeSchema.optional(),
  source_id: z.string().min(1).max(256).optional(),
});

/** What a live view of a job receives: the job as it is, then events and new states as they come. */
export const jobUpdateSchema = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("job"), job: jobSchema }),
  z.object({ kind: z.literal("events"), events: z.array(jobEventSchema) }),
]);
export type JobUpdate = z.infer<typeof jobUpdateSchema>;

export const overwriteSchema = z.enum(["never", "if-newer", "if-changed", "always"]);

export const createRestoreInput = z.object({
  snapshot_id: idSchema,
  /** Entries to restore, each with all below it. Empty: everything. */
  paths: z.array(snapshotPathSchema).max(10_000).default([]),
  target: z.object({
    /** The source to write to: the one it came from, or another. */
    source_id: idSchema,
    /** A directory there; made when missing. The snapshot's tree appears below it. */
    path: sourcePathSchema,
  }),
  overwrite: overwriteSchema.default("never"),
  /** Read every written file back on the server, by its own sha256sum, and compare it with the snapshot. Sizes are compared in any case. */
  verify: z.boolean().default(false),
});

/** The same as for the restore itself, which then does what was quoted. */
export const quoteRestoreInput = createRestoreInput.omit({ verify: true });

/** What a restore would do, found without writing anything. Bytes. */
export const restoreQuoteSchema = z.object({
  /** What would be read from storage: estimated from the compressed frames that hold the chosen files. */
  read_bytes: z.number(),
  files: z.number().int(),
  directories: z.number().int(),
  /** Symbolic and hard links. */
  links: z.number().int(),
  /** What would be written; holes of sparse files are not. */
  write_bytes: z.number(),
  /** Entries that would be left as they are, by the policy. */
  skipped: z.number().int(),
  /** Whether the target's directory is there already, and what its file system still takes; null where that cannot be told. */
  target_exists: z.boolean(),
  free_bytes: z.number().nullable(),
  /** Null where the free space is not known. */
  enough_space: z.boolean().nullable(),
  /** From what restores to this server have written in a second so far; null before the first one. */
  seconds: z.number().nullable(),
});
export type RestoreQuote = z.infer<typeof restoreQuoteSchema>;
