import { bigint, foreignKey, index, pgTable, text, unique, uuid } from "drizzle-orm/pg-core";
import { createdAt, moment, oneOf, primaryId, tenantId } from "./columns.ts";
import { jobs, snapshots } from "./jobs.ts";
import { sources } from "./sources.ts";
import { tenants } from "./tenants.ts";

export const PACKAGE_TYPES = ["user_data", "app_logs", "audit_logs", "business_data", "job_package", "cache"] as const;
const TIERS = ["hot", "warm", "cold", "offsite"] as const;

/**
 * What is kept, as the edge seeds see it: what edge clients say they have packaged, and every snapshot. A package takes its id from the job that
 * brings it, and the job's state is its own.
 */
export const packages = pgTable(
  "packages",
  {
    id: primaryId(),
    tenantId: tenantId().references(() => tenants.id),
    sourceId: uuid("source_id").notNull(),
    jobId: uuid("job_id").notNull(),
    /** The snapshot that holds its bytes; null where xVault has seen none. */
    snapshotId: uuid("snapshot_id"),
    /** As the client names it; never part of a path on storage. */
    path: text("path").notNull(),
    packageType: text("package_type", { enum: PACKAGE_TYPES }).notNull(),
    tier: text("tier", { enum: TIERS }).notNull(),
    sizeBytes: bigint("size_bytes", { mode: "number" }),
    /** SHA-256 in lower-case hexadecimal, as the client says. */
    checksum: text("checksum"),
    createdAt: createdAt(),
    updatedAt: moment("updated_at").notNull().defaultNow(),
  },
  (t) => [
    unique("packages_tenant_id_id").on(t.tenantId, t.id),
    foreignKey({
      name: "packages_job_fk",
      columns: [t.tenantId, t.jobId],
      foreignColumns: [jobs.tenantId, jobs.id],
    }),
    foreignKey({
      name: "packages_source_fk",
      columns: [t.tenantId, t.sourceId],
      foreignColumns: [sources.tenantId, sources.id],
    }),
    foreignKey({
      name: "packages_snapshot_fk",
      columns: [t.tenantId, t.snapshotId],
      foreignColumns: [snapshots.tenantId, snapshots.id],
    }),
    index("packages_of_snapshot").on(t.tenantId, t.snapshotId),
    index("packages_of_job").on(t.tenantId, t.jobId),
    index("packages_newest").on(t.tenantId, t.createdAt, t.id),
    index("packages_of_source").on(t.tenantId, t.sourceId, t.createdAt),
    oneOf("packages_type", t.packageType, PACKAGE_TYPES),
    oneOf("packages_tier", t.tier, TIERS),
  ],
);
export type PackageRow = typeof packages.$inferSelect;
