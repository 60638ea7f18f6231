import { sql } from "drizzle-orm";
import { boolean, check, index, pgTable, text, uuid } from "drizzle-orm/pg-core";
import { createdAt, moment, primaryId } from "./columns.ts";

/** People. Global by e-mail address; which workspaces they may enter, memberships say. */
export const users = pgTable(
  "users",
  {
    id: primaryId(),
    /** Lower-cased. */
    email: text("email").notNull().unique("users_email_unique"),
    name: text("name").notNull(),
    passwordHash: text("password_hash").notNull(),
    isPlatformAdmin: boolean("is_platform_admin").notNull().default(false),
    createdAt: createdAt(),
    disabledAt: moment("disabled_at"),
  },
  (t) => [check("users_email_lower", sql`${t.email} = lower(${t.email})`)],
);
export type UserRow = typeof users.$inferSelect;

/** Sign-ins: each is a family of refresh tokens, of which the latest alone is good. */
export const sessions = pgTable(
  "sessions",
  {
    id: primaryId(),
    userId: uuid("user_id")
      .notNull()
      .references(() => users.id),
    createdAt: createdAt(),
    lastUsedAt: moment("last_used_at").notNull().defaultNow(),
    expiresAt: moment("expires_at").notNull(),
    revokedAt: moment("revoked_at"),
    revokedReason: text("revoked_reason"),
    userAgent: text("user_agent"),
    ip: text("ip"),
  },
  (t) => [index("sessions_user").on(t.userId), index("sessions_expiry").on(t.expiresAt)],
);
export type SessionRow = typeof sessions.$inferSelect;

/** Every refresh token that a session had. One that is shown after `used_at` was stolen, or its successor was. */
export const refreshTokens = pgTable(
  "refresh_tokens",
  {
    id: primaryId(),
    sessionId: uuid("session_id")
      .notNull()
      .references(() => sessions.id, { onDelete: "cascade" }),
    tokenHash: text("token_hash").notNull().unique("refresh_tokens_hash_unique"),
    createdAt: createdAt(),
    usedAt: moment("used_at"),
  },
  (t) => [index("refresh_tokens_session").on(t.sessionId)],
);
export type RefreshTokenRow = typeof refreshTokens.$inferSelect;
