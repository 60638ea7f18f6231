import { sql } from "drizzle-orm";
import {
  boolean,
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
import { createdAt, moment, oneOf, primaryId, tenantId } from "./columns.ts";
import { tenants } from "./tenants.ts";

const SEVERITIES = ["warning", "critical"] as const;
const DELIVERY_STATES = ["pending", "delivered", "failed"] as const;

/** What somebody should know and see to. One is open at a time for each kind and subject; seeing it again counts it up. */
export const alerts = pgTable(
  "alerts",
  {
    id: primaryId(),
    tenantId: tenantId().references(() => tenants.id),
    kind: text("kind").notNull(),
    severity: text("severity", { enum: SEVERITIES }).notNull(),
    subjectKind: text("subject_kind").notNull(),
    subjectId: uuid("subject_id").notNull(),
    /** Cause and fix, in a sentence each. */
    message: text("message").notNull(),
    fix: text("fix").notNull(),
    data: jsonb("data")
      .$type<Record<string, unknown>>()
      .notNull()
      .default(sql`'{}'::jsonb`),
    seen: integer("seen").notNull().default(1),
    openedAt: moment("opened_at").notNull().defaultNow(),
    lastSeenAt: moment("last_seen_at").notNull().defaultNow(),
    resolvedAt: moment("resolved_at"),
    resolution: text("resolution"),
  },
  (t) => [
    unique("alerts_tenant_id_id").on(t.tenantId, t.id),
    uniqueIndex("alerts_open")
      .on(t.tenantId, t.kind, t.subjectId)
      .where(sql`${t.resolvedAt} is null`),
    index("alerts_newest").on(t.tenantId, t.openedAt, t.id),
    oneOf("alerts_severity", t.severity, SEVERITIES),
  ],
);
export type AlertRow = typeof alerts.$inferSelect;

/** Addresses that are told of events. `sealed`: the secret that signs what is sent there. */
export const webhooks = pgTable(
  "webhooks",
  {
    id: primaryId(),
    tenantId: tenantId().references(() => tenants.id),
    name: text("name").notNull(),
    url: text("url").notNull(),
    events: jsonb("events").$type<string[]>().notNull(),
    sealed: text("sealed").notNull(),
    keyVersion: integer("key_version").notNull(),
    enabled: boolean("enabled").notNull().default(true),
    createdAt: createdAt(),
    updatedAt: moment("updated_at").notNull().defaultNow(),
  },
  (t) => [unique("webhooks_tenant_id_id").on(t.tenantId, t.id)],
);
export type WebhookRow = typeof webhooks.$inferSelect;

/** What was sent, or is to be, to a webhook. */
export const webhookDeliveries = pgTable(
  "webhook_deliveries",
  {
    id: primaryId(),
    tenantId: tenantId().references(() => tenants.id),
    webhookId: uuid("webhook_id").notNull(),
    event: text("event").notNull(),
    payload: jsonb("payload").$type<Record<string, unknown>>().notNull(),
    state: text("state", { enum: DELIVERY_STATES }).notNull().default("pending"),
    attempts: integer("attempts").notNull().default(0),
    nextAttemptAt: moment("next_attempt_at").notNull().defaultNow(),
    /** Of the last attempt: the status that was answered, or what kept it from being answered. */
    statusCode: integer("status_code"),
    error: text("error"),
    createdAt: createdAt(),
    finishedAt: moment("finished_at"),
  },
  (t) => [
    unique("webhook_deliveries_tenant_id_id").on(t.tenantId, t.id),
    foreignKey({
      name: "webhook_deliveries_webhook_fk",
      columns: [t.tenantId, t.webhookId],
      foreignColumns: [webhooks.tenantId, webhooks.id],
    }).onDelete("cascade"),
    index("webhook_deliveries_due")
      .on(t.nextAttemptAt)
      .where(sql`${t.state} = 'pending'`),
    index("webhook_deliveries_newest").on(t.tenantId, t.webhookId, t.createdAt, t.id),
    oneOf("webhook_deliveries_state", t.state, DELIVERY_STATES),
  ],
);
export type WebhookDeliveryRow = typeof webhookDeliveries.$inferSelect;

/** Answers to calls that carried an idempotency key: the same call again gets the same answer. */
export const idempotencyKeys = pgTable(
  "idempotency_keys",
  {
    tenantId: tenantId().references(() => tenants.id),
    /** Who called: a session's or a token's id. */
    callerId: uuid("caller_id").notNull(),
    key: text("key").notNull(),
    /** Hash of method, path and body: the same key for another call is refused. */
    requestHash: text("request_hash").notNull(),
    /** Null while the first call is at work. */
    status: integer("status"),
    body: jsonb("body").$type<unknown>(),
    createdAt: createdAt(),
  },
  (t) => [
    primaryKey({ name: "idempotency_keys_pk", columns: [t.tenantId, t.callerId, t.key] }),
    index("idempotency_keys_age").on(t.createdAt),
  ],
);
export type IdempotencyKeyRow = typeof idempotencyKeys.$inferSelect;
