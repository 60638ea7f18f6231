import type { Json } from "@xvault/kernel";
import { bigint, foreignKey, index, jsonb, pgTable, primaryKey, text, uuid } from "drizzle-orm/pg-core";
import { createdAt, moment, oneOf, tenantId } from "./columns.ts";
import { snapshots } from "./jobs.ts";

/** Who can have done something. 'admin': of the platform, in a workspace that is not theirs. */
export const ACTOR_KINDS = ["user", "token", "worker", "system", "admin"] as const;

/**
 * What was done by whom: a chain of hashes for each workspace, and one for the platform under the nil UUID. It outlives what it
 * tells of: no foreign keys.
 */
export const auditLog = pgTable(
  "audit_log",
  {
    tenantId: tenantId(),
    seq: bigint("seq", { mode: "number" }).notNull(),
    at: moment("at").notNull(),
    actorKind: text("actor_kind", { enum: ACTOR_KINDS }).notNull(),
    actorId: text("actor_id"),
    actorLabel: text("actor_label").notNull(),
    action: text("action").notNull(),
    targetKind: text("target_kind"),
    targetId: text("target_id"),
    data: jsonb("data").$type<Record<string, Json>>().notNull(),
    requestId: text("request_id"),
    prevHash: text("prev_hash").notNull(),
    hash: text("hash").notNull(),
  },
  (t) => [
    primaryKey({ name: "audit_log_pk", columns: [t.tenantId, t.seq] }),
    oneOf("audit_log_actor_kind", t.actorKind, ACTOR_KINDS),
  ],
);
export type AuditLogRow = typeof auditLog.$inferSelect;

/** The last entry of each chain. Locked while one is appended, so that numbers have no gaps. */
export const auditHeads = pgTable("audit_heads", {
  tenantId: uuid("tenant_id").primaryKey(),
  seq: bigint("seq", { mode: "number" }).notNull(),
  hash: text("hash").notNull(),
});
export type AuditHeadRow = typeof auditHeads.$inferSelect;

/** Pieces of audit logs that lie in snapshots of their own; written with the snapshot's publication. Only such entries are ever deleted. */
export const auditArchives = pgTable(
  "audit_archives",
  {
    tenantId: tenantId(),
    snapshotId: uuid("snapshot_id").notNull(),
    /** Numbers of the first and the last entry. */
    fromSeq: bigint("from_seq", { mode: "number" }).notNull(),
    throughSeq: bigint("through_seq", { mode: "number" }).notNull(),
    /** The hash before the first entry, and that of the last. */
    prevHash: text("prev_hash").notNull(),
    hash: text("hash").notNull(),
    firstAt: moment("first_at").notNull(),
    lastAt: moment("last_at").notNull(),
    createdAt: createdAt(),
  },
  (t) => [
    primaryKey({ name: "audit_archives_pk", columns: [t.tenantId, t.snapshotId] }),
    foreignKey({
      name: "audit_archives_snapshot_fk",
      columns: [t.tenantId, t.snapshotId],
      foreignColumns: [snapshots.tenantId, snapshots.id],
    }),
    index("audit_archives_newest").on(t.tenantId, t.throughSeq),
  ],
);
export type AuditArchiveRow = typeof auditArchives.$inferSelect;
