import type { JobProgress, Manifest } from "@xvault/contracts";
import { sql } from "drizzle-orm";
import {
  bigint,
  boolean,
  check,
  foreignKey,
  index,
  integer,
  jsonb,
  pgTable,
  type PgTableExtraConfigValue,
  text,
  unique,
  uniqueIndex,
  uuid,
} from "drizzle-orm/pg-core";
import { users } from "./accounts.ts";
import { createdAt, moment, oneOf, primaryId, tenantId } from "./columns.ts";
import { workers } from "./platform.ts";
import { sources } from "./sources.ts";
import { tenants } from "./tenants.ts";

const JOB_TYPES = [
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
] as const;
const JOB_STATES = ["queued", "running", "success", "warning", "failed", "cancelled"] as const;
const TRIGGERS = ["manual", "schedule", "api", "admin", "system"] as const;
const LEVELS = ["info", "warning", "error"] as const;
const SNAPSHOT_STATES = ["pending", "complete", "expired", "lost"] as const;

/**
 * Work to be done and work done: the truth about it, of which the queue carries hints. A lease is worker, rising attempt
 * and expiry by the database's clock.
 */
export const jobs = pgTable(
  "jobs",
  {
    id: primaryId(),
    tenantId: tenantId().references(() => tenants.id),
    sourceId: uuid("source_id"),
    snapshotId: uuid("snapshot_id"),
    type: text("type", { enum: JOB_TYPES }).notNull(),
    state: text("state", { enum: JOB_STATES }).notNull().default("queued"),
    trigger: text("trigger", { enum: TRIGGERS }).notNull(),
    attempt: integer("attempt").notNull().default(0),
    maxAttempts: integer("max_attempts").notNull().default(1),
    /** Who holds it, or held it last. */
    workerId: uuid("worker_id").references(() => workers.id),
    /** The one worker that may take it; null: any. */
    targetWorkerId: uuid("target_worker_id").references(() => workers.id),
    leaseExpiresAt: moment("lease_expires_at"),
    heartbeatAt: moment("heartbeat_at"),
    runAfter: moment("run_after").notNull().defaultNow(),
    params: jsonb("params")
      .$type<Record<string, unknown>>()
      .notNull()
      .default(sql`'{}'::jsonb`),
    progress: jsonb("progress").$type<JobProgress>(),
    result: jsonb("result").$type<Record<string, unknown>>(),
    error: jsonb("error").$type<Record<string, unknown>>(),
    cancelRequestedAt: moment("cancel_requested_at"),
    requestedBy: uuid("requested_by").references(() => users.id),
    createdAt: createdAt(),
    startedAt: moment("started_at"),
    finishedAt: moment("finished_at"),
  },
  (t): PgTableExtraConfigValue[] => [
    unique("jobs_tenant_id_id").on(t.tenantId, t.id),
    foreignKey({
      name: "jobs_source_fk",
      columns: [t.tenantId, t.sourceId],
      foreignColumns: [sources.tenantId, sources.id],
    }),
    foreignKey({
      name: "jobs_snapshot_fk",
      columns: [t.tenantId, t.snapshotId],
      foreignColumns: [snapshots.tenantId, snapshots.id],
    }),
    index("jobs_waiting")
      .on(t.runAfter)
      .where(sql`${t.state} = 'queued'`),
    index("jobs_leases")
      .on(t.leaseExpiresAt)
      .where(sql`${t.state} = 'running'`),
    index("jobs_newest").on(t.tenantId, t.createdAt, t.id),
    index("jobs_of_source").on(t.tenantId, t.sourceId, t.createdAt),
    index("jobs_of_snapshot").on(t.tenantId, t.snapshotId),
    index("jobs_of_all").on(t.createdAt, t.id),
    oneOf("jobs_type", t.type, JOB_TYPES),
    oneOf("jobs_state", t.state, JOB_STATES),
    oneOf("jobs_trigger", t.trigger, TRIGGERS),
  ],
);
export type JobRow = typeof jobs.$inferSelect;

/** What happened in a job's attempts, step by step. */
export const jobEvents = pgTable(
  "job_events",
  {
    id: bigint("id", { mode: "number" }).primaryKey().generatedAlwaysAsIdentity(),
    tenantId: tenantId(),
    jobId: uuid("job_id").notNull(),
    attempt: integer("attempt").notNull(),
    at: moment("at").notNull().defaultNow(),
    step: text("step").notNull(),
    level: text("level", { enum: LEVELS }).notNull(),
    message: text("message").notNull(),
    data: jsonb("data").$type<Record<string, unknown>>(),
  },
  (t) => [
    foreignKey({
      name: "job_events_job_fk",
      columns: [t.tenantId, t.jobId],
      foreignColumns: [jobs.tenantId, jobs.id],
    }).onDelete("cascade"),
    index("job_events_of_job").on(t.tenantId, t.jobId, t.id),
    oneOf("job_events_level", t.level, LEVELS),
  ],
);
export type JobEventRow = typeof jobEvents.$inferSelect;

/**
 * Snapshots; where they lie, their copies say. A 'pending' one is reserved by a job's attempt and does not exist for anybody; what is known of it is complete from
 * 'complete' on. Sizes in bytes.
 */
export const snapshots = pgTable(
  "snapshots",
  {
    id: primaryId(),
    tenantId: tenantId().references(() => tenants.id),
    sourceId: uuid("source_id").notNull(),
    jobId: uuid("job_id").notNull(),
    attempt: integer("attempt").notNull(),
    workerId: uuid("worker_id")
      .notNull()
      .references(() => workers.id),
    state: text("state", { enum: SNAPSHOT_STATES }).notNull().default("pending"),
    sequence: integer("sequence").notNull(),
    sizeBytes: bigint("size_bytes", { mode: "number" }),
    plainBytes: bigint("plain_bytes", { mode: "number" }),
    tarBytes: bigint("tar_bytes", { mode: "number" }),
    sha256: text("sha256"),
    files: bigint("files", { mode: "number" }),
    directories: bigint("directories", { mode: "number" }),
    problems: integer("problems").notNull().default(0),
    manifest: jsonb("manifest").$type<Manifest>(),
    manifestSha256: text("manifest_sha256"),
    previousSnapshotId: uuid("previous_snapshot_id"),
    keyFingerprints: jsonb("key_fingerprints").$type<string[]>().notNull(),
    partial: boolean("partial").notNull().default(false),
    /** What the run found beside its manifest: files and bytes that were there before, hashes of canaries. By it expiry sees what looks wrong. */
    stats: jsonb("stats").$type<Record<string, unknown>>(),
    /** Kept whatever the rules say: by a person's wish until somebody unpins it, by a hold until that time at least. */
    pinnedAt: moment("pinned_at"),
    pinNote: text("pin_note"),
    heldUntil: moment("held_until"),
    startedAt: moment("started_at"),
    createdAt: createdAt(),
    expiresAt: moment("expires_at"),
  },
  (t): PgTableExtraConfigValue[] => [
    unique("snapshots_tenant_id_id").on(t.tenantId, t.id),
    foreignKey({
      name: "snapshots_source_fk",
      columns: [t.tenantId, t.sourceId],
      foreignColumns: [sources.tenantId, sources.id],
    }),
    foreignKey({
      name: "snapshots_job_fk",
      columns: [t.tenantId, t.jobId],
      foreignColumns: [jobs.tenantId, jobs.id],
    }),
    foreignKey({
      name: "snapshots_previous_fk",
      columns: [t.tenantId, t.previousSnapshotId],
      foreignColumns: [t.tenantId, t.id],
    }),
    // A source's chain has each number once; attempts that were never published do not count.
    uniqueIndex("snapshots_chain")
      .on(t.tenantId, t.sourceId, t.sequence)
      .where(sql`${t.state} <> 'pending'`),
    index("snapshots_of_job").on(t.tenantId, t.jobId),
    index("snapshots_newest").on(t.tenantId, t.createdAt, t.id),
    index("snapshots_of_source").on(t.tenantId, t.sourceId, t.createdAt),
    index("snapshots_of_worker").on(t.workerId),
    check(
      "snapshots_published_is_whole",
      sql`${t.state} = 'pending' or (${t.sizeBytes} is not null and ${t.plainBytes} is not null and ${t.sha256} is not null and ${t.files} is not null and ${t.directories} is not null and ${t.manifest} is not null and ${t.manifestSha256} is not null)`,
    ),
    oneOf("snapshots_state", t.state, SNAPSHOT_STATES),
  ],
);
export type SnapshotRow = typeof snapshots.$inferSelect;
