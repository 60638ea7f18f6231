import { boolean, foreignKey, index, jsonb, pgTable, primaryKey, text, unique, uuid } from "drizzle-orm/pg-core";
import { createdAt, moment, oneOf, primaryId, tenantId } from "./columns.ts";
import { jobs, snapshots } from "./jobs.ts";
import { PACKAGE_TYPES } from "./packages.ts";
import { sources } from "./sources.ts";
import { tenants } from "./tenants.ts";

/** How long packages of one type stay in which tier, and which of them are kept. A type without a row follows the workspace's preset. */
export const retentionRules = pgTable(
  "retention_rules",
  {
    tenantId: tenantId().references(() => tenants.id),
    packageType: text("package_type", { enum: PACKAGE_TYPES }).notNull(),
    rules: jsonb("rules").$type<Record<string, unknown>>().notNull(),
    updatedAt: moment("updated_at").notNull().defaultNow(),
  },
  (t) => [
    primaryKey({ name: "retention_rules_pk", columns: [t.tenantId, t.packageType] }),
    oneOf("retention_rules_type", t.packageType, PACKAGE_TYPES),
  ],
);
export type RetentionRuleRow = typeof retentionRules.$inferSelect;

/** What a workspace chose for all of itself: preset of retention, days of audit and operational rows, checks, drills, objectives. */
export const workspaceSettings = pgTable("workspace_settings", {
  tenantId: uuid("tenant_id")
    .primaryKey()
    .references(() => tenants.id),
  settings: jsonb("settings").$type<Record<string, unknown>>().notNull(),
  updatedAt: moment("updated_at").notNull().defaultNow(),
});
export type WorkspaceSettingsRow = typeof workspaceSettings.$inferSelect;

/** Signed statements that a snapshot was restored, to nowhere, and was what its index says. They outlive snapshot and job. */
export const proofs = pgTable(
  "proofs",
  {
    id: primaryId(),
    tenantId: tenantId().references(() => tenants.id),
    sourceId: uuid("source_id").notNull(),
    snapshotId: uuid("snapshot_id").notNull(),
    jobId: uuid("job_id"),
    passed: boolean("passed").notNull(),
    /** Body, certificate and signature, as a stranger checks them. */
    statement: jsonb("statement").$type<Record<string, unknown>>().notNull(),
    createdAt: createdAt(),
  },
  (t) => [
    unique("proofs_tenant_id_id").on(t.tenantId, t.id),
    foreignKey({
      name: "proofs_source_fk",
      columns: [t.tenantId, t.sourceId],
      foreignColumns: [sources.tenantId, sources.id],
    }),
    foreignKey({
      name: "proofs_snapshot_fk",
      columns: [t.tenantId, t.snapshotId],
      foreignColumns: [snapshots.tenantId, snapshots.id],
    }),
    foreignKey({
      name: "proofs_job_fk",
      columns: [t.tenantId, t.jobId],
      foreignColumns: [jobs.tenantId, jobs.id],
    }),
    index("proofs_newest").on(t.tenantId, t.createdAt, t.id),
    index("proofs_of_snapshot").on(t.tenantId, t.snapshotId),
    index("proofs_of_job").on(t.tenantId, t.jobId),
  ],
);
export type ProofRow = typeof proofs.$inferSelect;
