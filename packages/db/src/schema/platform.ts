import type { Manifest } from "@xvault/contracts";
import { bigint, index, integer, jsonb, pgTable, text, uuid, varchar } from "drizzle-orm/pg-core";
import { users } from "./accounts.ts";
import { createdAt, moment, oneOf, primaryId } from "./columns.ts";

const WORKER_STATES = ["active", "draining", "revoked"] as const;
const KEY_PURPOSES = ["manifest_root", "jwt"] as const;

/** Processes that do the work, each with the signing key it enrolled. */
export const workers = pgTable(
  "workers",
  {
    id: primaryId(),
    name: text("name").notNull(),
    /** Ed25519, the raw 32 bytes in base64. */
    publicKey: text("public_key").notNull(),
    certificate: jsonb("certificate").$type<Manifest["certificate"]>().notNull(),
    state: text("state", { enum: WORKER_STATES }).notNull().default("active"),
    version: text("version").notNull(),
    capabilities: jsonb("capabilities").$type<Record<string, string | number | boolean>>().notNull(),
    storageBasePath: text("storage_base_path").notNull(),
    dataUrl: text("data_url").notNull(),
    concurrency: integer("concurrency").notNull(),
    enrolledAt: moment("enrolled_at").notNull().defaultNow(),
    lastSeenAt: moment("last_seen_at"),
    revokedAt: moment("revoked_at"),
    /** What the worker last said of its storage. Bytes. */
    disk: jsonb("disk").$type<{ free_bytes: number | null }>(),
  },
  (t) => [oneOf("workers_state", t.state, WORKER_STATES)],
);
export type WorkerRow = typeof workers.$inferSelect;

/** One-time tokens by which workers enrol; kept as hashes. */
export const workerEnrollments = pgTable("worker_enrollments", {
  id: primaryId(),
  tokenHash: text("token_hash").notNull().unique("worker_enrollments_hash_unique"),
  createdBy: uuid("created_by").references(() => users.id),
  createdAt: createdAt(),
  expiresAt: moment("expires_at").notNull(),
  usedAt: moment("used_at"),
  workerId: uuid("worker_id").references(() => workers.id),
});
export type WorkerEnrollmentRow = typeof workerEnrollments.$inferSelect;

/** The hub's own key pairs; private halves wrapped by the key encryption key `kek_id`. */
export const platformKeys = pgTable(
  "platform_keys",
  {
    id: text("id").primaryKey(),
    purpose: text("purpose", { enum: KEY_PURPOSES }).notNull(),
    publicKey: text("public_key").notNull(),
    wrappedPrivateKey: text("wrapped_private").notNull(),
    kekId: text("kek_id").notNull(),
    createdAt: createdAt(),
    retiredAt: moment("retired_at"),
  },
  (t) => [oneOf("platform_keys_purpose", t.purpose, KEY_PURPOSES), index("platform_keys_kek").on(t.kekId)],
);
export type PlatformKeyRow = typeof platformKeys.$inferSelect;

/** Counters of the limits on attempts, in the form that rate-limiter-flexible keeps them. `expire`: milliseconds since 1970. */
export const rateLimits = pgTable(
  "rate_limits",
  {
    key: varchar("key", { length: 255 }).primaryKey(),
    points: integer("points").notNull().default(0),
    expire: bigint("expire", { mode: "number" }),
  },
  (t) => [index("rate_limits_expiry").on(t.expire)],
);
export type RateLimitRow = typeof rateLimits.$inferSelect;
