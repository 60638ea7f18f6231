import { z } from "zod";
import { idSchema, nameSchema, pageInputSchema, timeSchema } from "./common.ts";

/** Everything that webhooks can be told of. Names are never reused for another meaning. */
export const EVENTS = [
  "backup.started",
  "backup.succeeded",
  "backup.warning",
  "backup.failed",
  "restore.finished",
  "restore.failed",
  "snapshot.expired",
  "copy.moved",
  "check.failed",
  "drill.passed",
  "drill.failed",
  "source.overdue",
  "source.host_key_changed",
  "alert.opened",
  "alert.resolved",
  "package.completed",
  "package.failed",
  "test",
] as const;
export const eventSchema = z.enum(EVENTS);
export type EventName = z.infer<typeof eventSchema>;

/** What one can ask to be told of: 'test' is sent on request alone, whatever was chosen. */
export const wantedEventSchema = eventSchema.exclude(["test"]);
export type WantedEvent = z.infer<typeof wantedEventSchema>;

/** What an event or alert is about: 'source', 'job', 'snapshot', 'package', 'alert', 'webhook', … and its id. */
export const subjectSchema = z.object({ kind: z.string().min(1).max(40), id: idSchema });
export type Subject = z.infer<typeof subjectSchema>;

/** The body of what is sent. `id` is the event's: the same for every webhook that is told and in every try, so that it can be told apart. */
export const eventPayloadSchema = z.object({
  id: idSchema,
  event: eventSchema,
  created_at: timeSchema,
  workspace_id: idSchema,
  subject: subjectSchema,
  data: z.record(z.string(), z.unknown()),
});
export type EventPayload = z.infer<typeof eventPayloadSchema>;

export const alertSchema = z.object({
  id: idSchema,
  /** As 'source_overdue' or 'webhook_failing'. One is open at a time for each kind and subject. */
  kind: z.string(),
  severity: z.enum(["warning", "critical"]),
  subject: subjectSchema,
  /** What the subject is called, where it still has a name. */
  subject_name: z.string().nullable(),
  /** Cause and fix, in a sentence each. */
  message: z.string(),
  fix: z.string(),
  data: z.record(z.string(), z.unknown()),
  /** How often it was seen while it was open. */
  seen: z.number().int(),
  opened_at: timeSchema,
  last_seen_at: timeSchema,
  resolved_at: timeSchema.nullable(),
  /** Who or what resolved it, and why. */
  resolution: z.string().nullable(),
});
export type Alert = z.infer<typeof alertSchema>;

export const listAlertsInput = pageInputSchema.extend({
  /** 'open': those that nobody and nothing has resolved. 'all': the resolved ones too, all newest first. */
  state: z.enum(["open", "all"]).default("open"),
});
export const alertPageSchema = z.object({
  items: z.array(alertSchema),
  next_cursor: z.string().nullable(),
  /** How many are open, on this page or not. */
  open: z.number().int(),
});
export const resolveAlertInput = z.object({ id: idSchema, note: z.string().trim().min(1).max(500) });

/** An address that may be asked to take events. Which of them may be reached is judged when something is sent. */
const webhookUrlSchema = z
  .string()
  .trim()
  .min(1)
  .max(2000)
  .refine((text) => {
    if (!URL.canParse(text)) return false;
    const { protocol, username, password, hash } = new URL(text);
    return ["https:", "http:"].includes(protocol) && username === "" && password === "" && hash === "";
  }, "an address that begins with https://, without user name, password or '#'");

/** Never the secret: that is in the answers of creation and rotation alone. */
export const webhookSchema = z.object({
  id: idSchema,
  name: z.string(),
  url: z.string(),
  events: z.array(wantedEventSchema),
  enabled: z.boolean(),
  /** Of the deliveries that ended, the last one; null before the first. */
  last_delivery: z
    .object({ state: z.enum(["delivered", "failed"]), status_code: z.number().nullable(), at: timeSchema })
    .nullable(),
  created_at: timeSchema,
  updated_at: timeSchema,
});
export type Webhook = z.infer<typeof webhookSchema>;
/** The secret is in this one answer only. */
export const createdWebhookSchema = z.object({ secret: z.string(), webhook: webhookSchema });

export const createWebhookInput = z.object({
  name: nameSchema,
  url: webhookUrlSchema,
  events: z.array(wantedEventSchema).min(1),
});
export const updateWebhookInput = z.object({
  id: idSchema,
  name: nameSchema.optional(),
  url: webhookUrlSchema.optional(),
  events: z.array(wantedEventSchema).min(1).optional(),
  enabled: z.boolean().optional(),
});

export const deliverySchema = z.object({
  id: idSchema,
  webhook_id: idSchema,
  event: eventSchema,
  payload: eventPayloadSchema,
  /** 'pending': not sent yet, or to be tried again. 'failed': every try failed. */
  state: z.enum(["pending", "delivered", "failed"]),
  attempts: z.number().int(),
  /** When it is tried (again); null once it is over. */
  next_attempt_at: timeSchema.nullable(),
  /** Of the last try: what was answered, or why nothing was. */
  status_code: z.number().nullable(),
  error: z.string().nullable(),
  created_at: timeSchema,
  finished_at: timeSchema.nullable(),
});
export type Delivery = z.infer<typeof deliverySchema>;

export const listDeliveriesInput = pageInputSchema.extend({
  id: idSchema,
  state: z.enum(["pending", "delivered", "failed"]).optional(),
});
