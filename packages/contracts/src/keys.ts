import { z } from "zod";
import { idSchema, keyModeSchema, timeSchema } from "./common.ts";

export const tenantKeySchema = z.object({
  id: idSchema,
  recipient: z.string(),
  fingerprint: z.string(),
  holder: keyModeSchema,
  state: z.enum(["active", "retired"]),
  created_at: timeSchema,
  retired_at: timeSchema.nullable(),
});
export type TenantKey = z.infer<typeof tenantKeySchema>;

export const keysSchema = z.object({
  key_mode: keyModeSchema,
  keys: z.array(tenantKeySchema),
  /** The hub's root public keys, by which offline restore checks signatures. Base64. */
  root_keys: z.array(z.string()),
});

/**
 * A change of key: new snapshots go to the new recipients, old ones stay readable with the old key. Platform-held: a new pair is made.
 * Customer-held: the recipients named replace those in use.
 */
export const changeKeyInput = z.object({ recipients: z.array(z.string().max(4096)).max(8).optional() });

/** The recovery kit: an age identity file that also names the hub's root key. Platform-held only; audited. */
export const recoveryKitSchema = z.object({ filename: z.string(), content: z.string() });
