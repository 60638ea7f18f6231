import type { HostKeyMessage } from "@xvault/contracts";
import { sql } from "drizzle-orm";
import {
  boolean,
  check,
  foreignKey,
  index,
  integer,
  jsonb,
  pgTable,
  text,
  unique,
  uniqueIndex,
  uuid,
} from "drizzle-orm/pg-core";
import { createdAt, moment, oneOf, primaryId, tenantId } from "./columns.ts";
import { workers } from "./platform.ts";
import { tenants } from "./tenants.ts";

const CREDENTIAL_KINDS = ["generated_key", "private_key", "password"] as const;
const SOURCE_KINDS = ["ssh", "edge", "audit"] as const;
const SOURCE_STATES = ["active", "paused"] as const;

/** Secrets by which sources are opened, sealed with the workspace's data key. Made before the source that uses them. */
export const credentials = pgTable(
  "credentials",
  {
    id: primaryId(),
    tenantId: tenantId().references(() => tenants.id),
    kind: text("kind", { enum: CREDENTIAL_KINDS }).notNull(),
    publicKey: text("public_key"),
    fingerprint: text("fingerprint"),
    sealed: text("sealed").notNull(),
    keyVersion: integer("key_version").notNull(),
    /** A password goes to the one server that it was first used for, and nowhere else. Null: not used yet, or not a password. */
    boundHost: text("bound_host"),
    boundPort: integer("bound_port"),
    createdAt: createdAt(),
  },
  (t) => [unique("credentials_tenant_id_id").on(t.tenantId, t.id), oneOf("credentials_kind", t.kind, CREDENTIAL_KINDS)],
);
export type CredentialRow = typeof credentials.$inferSelect;

/** What is backed up: a server that is pulled from, an edge client that sends by itself, or the workspace's own audit log. */
export const sources = pgTable(
  "sources",
  {
    id: primaryId(),
    tenantId: tenantId().references(() => tenants.id),
    name: text("name").notNull(),
    kind: text("kind", { enum: SOURCE_KINDS }).notNull(),
    /** The edge client's own name for it; any text, never part of a path on storage. */
    edgeId: text("edge_id"),
    host: text("host"),
    port: integer("port"),
    username: text("username"),
    hostKey: jsonb("host_key").$type<HostKeyMessage>(),
    credentialId: uuid("credential_id"),
    paths: jsonb("paths")
      .$type<string[]>()
      .notNull()
      .default(sql`'[]'::jsonb`),
    excludes: jsonb("excludes")
      .$type<string[]>()
      .notNull()
      .default(sql`'[]'::jsonb`),
    options: jsonb("options")
      .$type<Record<string, unknown>>()
      .notNull()
      .default(sql`'{}'::jsonb`),
    /** The key of the source's plan states, sealed with the workspace's data key; made with the first backup. */
    planKey: text("plan_key"),
    planKeyVersion: integer("plan_key_version"),
    /** Which rules of retention its snapshots follow. */
    packageType: text("package_type").notNull().default("user_data"),
    state: text("state", { enum: SOURCE_STATES }).notNull().default("active"),
    pausedReason: text("paused_reason"),
    /** The one worker that may take its jobs; null: any. */
    workerId: uuid("worker_id").references(() => workers.id),
    createdAt: createdAt(),
    updatedAt: moment("updated_at").notNull().defaultNow(),
    deletedAt: moment("deleted_at"),
    lastSeenAt: moment("last_seen_at"),
  },
  (t) => [
    unique("sources_tenant_id_id").on(t.tenantId, t.id),
    unique("sources_edge_id_unique").on(t.tenantId, t.edgeId),
    foreignKey({
      name: "sources_credential_fk",
      columns: [t.tenantId, t.credentialId],
      foreignColumns: [credentials.tenantId, credentials.id],
    }),
    // A workspace has one audit log.
    uniqueIndex("sources_audit")
      .on(t.tenantId)
      .where(sql`${t.kind} = 'audit'`),
    index("sources_credential").on(t.tenantId, t.credentialId),
    check("sources_port", sql`${t.port} between 1 and 65535`),
    oneOf("sources_kind", t.kind, SOURCE_KINDS),
    oneOf("sources_state", t.state, SOURCE_STATES),
  ],
);
export type SourceRow = typeof sources.$inferSelect;

/** When a source is backed up: five cron fields in a time zone. */
export const schedules = pgTable(
  "schedules",
  {
    id: primaryId(),
    tenantId: tenantId().references(() => tenants.id),
    sourceId: uuid("source_id").notNull(),
    cron: text("cron").notNull(),
    timezone: text("timezone").notNull(),
    enabled: boolean("enabled").notNull().default(true),
    nextRunAt: moment("next_run_at"),
    lastRunAt: moment("last_run_at"),
    createdAt: createdAt(),
    updatedAt: moment("updated_at").notNull().defaultNow(),
  },
  (t) => [
    unique("schedules_tenant_id_id").on(t.tenantId, t.id),
    foreignKey({
      name: "schedules_source_fk",
      columns: [t.tenantId, t.sourceId],
      foreignColumns: [sources.tenantId, sources.id],
    }),
    index("schedules_source").on(t.tenantId, t.sourceId),
    index("schedules_due")
      .on(t.nextRunAt)
      .where(sql`${t.enabled}`),
  ],
);
export type ScheduleRow = typeof schedules.$inferSelect;
