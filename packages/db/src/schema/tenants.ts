import { sql } from "drizzle-orm";
import {
  foreignKey,
  index,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  text,
  unique,
  uniqueIndex,
  uuid,
} from "drizzle-orm/pg-core";
import { users } from "./accounts.ts";
import { createdAt, moment, oneOf, primaryId, tenantId } from "./columns.ts";

const KEY_MODES = ["platform", "customer"] as const;
const ROLES = ["owner", "admin", "operator", "viewer"] as const;
const KEY_STATES = ["active", "retired"] as const;

/** Workspaces. */
export const tenants = pgTable(
  "tenants",
  {
    id: primaryId(),
    name: text("name").notNull(),
    keyMode: text("key_mode", { enum: KEY_MODES }).notNull(),
    createdAt: createdAt(),
    shreddedAt: moment("shredded_at"),
  },
  (t) => [oneOf("tenants_key_mode", t.keyMode, KEY_MODES)],
);
export type TenantRow = typeof tenants.$inferSelect;

/** Who may do what in which workspace. */
export const memberships = pgTable(
  "memberships",
  {
    tenantId: tenantId().references(() => tenants.id),
    userId: uuid("user_id")
      .notNull()
      .references(() => users.id),
    role: text("role", { enum: ROLES }).notNull(),
    createdAt: createdAt(),
  },
  (t) => [
    primaryKey({ name: "memberships_pk", columns: [t.tenantId, t.userId] }),
    index("memberships_user").on(t.userId),
    oneOf("memberships_role", t.role, ROLES),
  ],
);
export type MembershipRow = typeof memberships.$inferSelect;

/** The workspace's data keys, wrapped by the key encryption key `kek_id`. They seal its secrets. */
export const tenantDataKeys = pgTable(
  "tenant_data_keys",
  {
    tenantId: tenantId().references(() => tenants.id),
    version: integer("version").notNull(),
    wrapped: text("wrapped").notNull(),
    kekId: text("kek_id").notNull(),
    createdAt: createdAt(),
  },
  (t) => [
    primaryKey({ name: "tenant_data_keys_pk", columns: [t.tenantId, t.version] }),
    index("tenant_data_keys_kek").on(t.kekId),
  ],
);
export type TenantDataKeyRow = typeof tenantDataKeys.$inferSelect;

/** The recipients that a workspace's snapshots are encrypted to. The identity is here, sealed, only where the platform holds it. */
export const tenantKeys = pgTable(
  "tenant_keys",
  {
    id: primaryId(),
    tenantId: tenantId().references(() => tenants.id),
    recipient: text("recipient").notNull(),
    fingerprint: text("fingerprint").notNull(),
    holder: text("holder", { enum: KEY_MODES }).notNull(),
    sealedIdentity: text("sealed_identity"),
    /** Version of the data key that sealed the identity. */
    keyVersion: integer("key_version"),
    state: text("state", { enum: KEY_STATES }).notNull().default("active"),
    createdAt: createdAt(),
    retiredAt: moment("retired_at"),
  },
  (t) => [
    unique("tenant_keys_tenant_id_id").on(t.tenantId, t.id),
    uniqueIndex("tenant_keys_active_fingerprint")
      .on(t.tenantId, t.fingerprint)
      .where(sql`${t.state} = 'active'`),
    oneOf("tenant_keys_holder", t.holder, KEY_MODES),
    oneOf("tenant_keys_state", t.state, KEY_STATES),
  ],
);
export type TenantKeyRow = typeof tenantKeys.$inferSelect;

/** Tokens for programs: a person's, for one workspace, with scopes. They end with the membership. */
export const apiTokens = pgTable(
  "api_tokens",
  {
    id: primaryId(),
    tenantId: tenantId(),
    userId: uuid("user_id").notNull(),
    name: text("name").notNull(),
    /** The token's first characters, by which people recognise it. */
    prefix: text("prefix").notNull(),
    tokenHash: text("token_hash").notNull().unique("api_tokens_hash_unique"),
    scopes: jsonb("scopes").$type<string[]>().notNull(),
    expiresAt: moment("expires_at"),
    lastUsedAt: moment("last_used_at"),
    revokedAt: moment("revoked_at"),
    createdAt: createdAt(),
  },
  (t) => [
    unique("api_tokens_tenant_id_id").on(t.tenantId, t.id),
    foreignKey({
      name: "api_tokens_membership_fk",
      columns: [t.tenantId, t.userId],
      foreignColumns: [memberships.tenantId, memberships.userId],
    }).onDelete("cascade"),
    index("api_tokens_membership").on(t.tenantId, t.userId),
  ],
);
export type ApiTokenRow = typeof apiTokens.$inferSelect;
