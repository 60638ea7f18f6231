import { sql } from "drizzle-orm";
import {
  bigint,
  foreignKey,
  index,
  integer,
  jsonb,
  pgTable,
  type PgTableExtraConfigValue,
  primaryKey,
  text,
  unique,
  uniqueIndex,
  uuid,
  boolean,
} from "drizzle-orm/pg-core";
import { createdAt, moment, oneOf, primaryId, tenantId } from "./columns.ts";
import { snapshots } from "./jobs.ts";
import { workers } from "./platform.ts";
import { sources } from "./sources.ts";
import { tenants } from "./tenants.ts";

const STORAGE_KINDS = ["local_fs", "s3", "rclone"] as const;
const TIERS = ["hot", "warm", "cold", "offsite"] as const;
const STORAGE_STATES = ["active", "retired"] as const;
const COPY_STATES = ["complete", "missing", "corrupt", "removing", "removed"] as const;
const CHECK_DEPTHS = ["presence", "sample", "whole", "content"] as const;

/** Storages that the operator offers to every workspace. `sealed`: what opens them, wrapped by the key encryption key `kek_id`. */
export const platformStorages = pgTable(
  "platform_storages",
  {
    id: primaryId(),
    name: text("name").notNull(),
    kind: text("kind", { enum: STORAGE_KINDS }).notNull(),
    tier: text("tier", { enum: TIERS }).notNull(),
    /** As the API's contract of its kind says; nothing secret. */
    config: jsonb("config").$type<Record<string, unknown>>().notNull(),
    sealed: text("sealed"),
    kekId: text("kek_id"),
    /** Whether each workspace needs a key of its own (`storages.sealed`); `sealed` here then opens nothing for anybody. */
    ownKeys: boolean("own_keys").notNull().default(false),
    /** Whether new workspaces get it. */
    offered: boolean("offered").notNull().default(true),
    createdAt: createdAt(),
    retiredAt: moment("retired_at"),
  },
  (t) => [
    oneOf("platform_storages_kind", t.kind, STORAGE_KINDS),
    oneOf("platform_storages_tier", t.tier, TIERS),
    index("platform_storages_kek").on(t.kekId),
  ],
);
export type PlatformStorageRow = typeof platformStorages.$inferSelect;

/**
 * Where a workspace's snapshots may lie. One that belongs to the operator (`platform_storage_id`) has its own place there, and what opens it is
 * the operator's, or what the operator has put into `sealed` for this workspace; else `sealed` is its own. Both by the workspace's data key. The workers' own disks are a storage too: which disk, each copy says.
 */
export const storages = pgTable(
  "storages",
  {
    id: primaryId(),
    tenantId: tenantId().references(() => tenants.id),
    name: text("name").notNull(),
    kind: text("kind", { enum: STORAGE_KINDS }).notNull(),
    tier: text("tier", { enum: TIERS }).notNull(),
    config: jsonb("config").$type<Record<string, unknown>>().notNull(),
    platformStorageId: uuid("platform_storage_id").references(() => platformStorages.id),
    sealed: text("sealed"),
    keyVersion: integer("key_version"),
    state: text("state", { enum: STORAGE_STATES }).notNull().default("active"),
    /** Since when it is known, by trying, that what is locked there cannot be removed. Null: not so, or not known. */
    lockProvenAt: moment("lock_proven_at"),
    testedAt: moment("tested_at"),
    /** What the last test found, check by check. */
    test: jsonb("test").$type<Record<string, unknown>[]>(),
    createdAt: createdAt(),
    updatedAt: moment("updated_at").notNull().defaultNow(),
  },
  (t) => [
    unique("storages_tenant_id_id").on(t.tenantId, t.id),
    uniqueIndex("storages_name")
      .on(t.tenantId, t.name)
      .where(sql`${t.state} = 'active'`),
    index("storages_of_platform").on(t.platformStorageId),
    oneOf("storages_kind", t.kind, STORAGE_KINDS),
    oneOf("storages_tier", t.tier, TIERS),
    oneOf("storages_state", t.state, STORAGE_STATES),
  ],
);
export type StorageRow = typeof storages.$inferSelect;

/** The storages that a source's snapshots are written to, the first one first. A source without any uses the workers' disks. */
export const placements = pgTable(
  "placements",
  {
    tenantId: tenantId().references(() => tenants.id),
    sourceId: uuid("source_id").notNull(),
    storageId: uuid("storage_id").notNull(),
    position: integer("position").notNull(),
  },
  (t) => [
    primaryKey({ name: "placements_pk", columns: [t.tenantId, t.sourceId, t.storageId] }),
    foreignKey({
      name: "placements_source_fk",
      columns: [t.tenantId, t.sourceId],
      foreignColumns: [sources.tenantId, sources.id],
    }),
    foreignKey({
      name: "placements_storage_fk",
      columns: [t.tenantId, t.storageId],
      foreignColumns: [storages.tenantId, storages.id],
    }),
    index("placements_of_storage").on(t.tenantId, t.storageId),
  ],
);
export type PlacementRow = typeof placements.$inferSelect;

/** Where snapshots lie: a row for each whole copy that is, or was, on a storage. */
export const copies = pgTable(
  "copies",
  {
    id: primaryId(),
    tenantId: tenantId().references(() => tenants.id),
    snapshotId: uuid("snapshot_id").notNull(),
    storageId: uuid("storage_id").notNull(),
    /** Whose disk it lies on; null where any worker reaches it. */
    workerId: uuid("worker_id").references(() => workers.id),
    state: text("state", { enum: COPY_STATES }).notNull(),
    /** For people: a directory of the worker, or bucket and key. */
    location: text("location").notNull(),
    sizeBytes: bigint("size_bytes", { mode: "number" }).notNull(),
    /** Until then the storage refuses to remove it. Null: not locked. */
    lockedUntil: moment("locked_until"),
    /** When its bytes were last looked at, how deeply, and what was found. */
    checkedAt: moment("checked_at"),
    checkedDepth: text("checked_depth", { enum: CHECK_DEPTHS }),
    check: jsonb("check_result").$type<Record<string, unknown>>(),
    createdAt: createdAt(),
    removedAt: moment("removed_at"),
  },
  (t): PgTableExtraConfigValue[] => [
    unique("copies_tenant_id_id").on(t.tenantId, t.id),
    foreignKey({
      name: "copies_snapshot_fk",
      columns: [t.tenantId, t.snapshotId],
      foreignColumns: [snapshots.tenantId, snapshots.id],
    }),
    foreignKey({
      name: "copies_storage_fk",
      columns: [t.tenantId, t.storageId],
      foreignColumns: [storages.tenantId, storages.id],
    }),
    uniqueIndex("copies_one_each")
      .on(t.tenantId, t.snapshotId, t.storageId)
      .where(sql`${t.state} <> 'removed'`),
    index("copies_of_storage").on(t.tenantId, t.storageId),
    index("copies_of_worker").on(t.workerId),
    index("copies_by_check").on(t.tenantId, t.checkedAt),
    oneOf("copies_state", t.state, COPY_STATES),
    oneOf("copies_depth", t.checkedDepth, CHECK_DEPTHS),
  ],
);
export type CopyRow = typeof copies.$inferSelect;
