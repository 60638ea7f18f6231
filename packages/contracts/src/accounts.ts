import { z } from "zod";
import { idSchema, keyModeSchema, nameSchema, roleSchema, timeSchema } from "./common.ts";

export const emailSchema = z.string().trim().toLowerCase().pipe(z.email().max(254));
/** Strength is judged on the server, see `PASSWORD_WEAK`. */
export const passwordSchema = z.string().min(1).max(1024);

export const signUpInput = z.object({
  name: nameSchema,
  email: emailSchema,
  password: passwordSchema,
  workspace_name: nameSchema,
  key_mode: keyModeSchema,
  /** Customer-held only: the public recipient (age1…). The identity stays with the customer. */
  recipient: z.string().max(4096).optional(),
});

export const signInInput = z.object({ email: emailSchema, password: passwordSchema });

export const userSchema = z.object({
  id: idSchema,
  email: z.string(),
  name: z.string(),
  is_platform_admin: z.boolean(),
});
export type User = z.infer<typeof userSchema>;

export const workspaceSchema = z.object({
  id: idSchema,
  name: z.string(),
  key_mode: keyModeSchema,
  role: roleSchema,
  created_at: timeSchema,
});
export type Workspace = z.infer<typeof workspaceSchema>;

/** What signing in gives. The refresh token travels in an HttpOnly cookie, never in a body. */
export const sessionSchema = z.object({
  access_token: z.string(),
  expires_at: timeSchema,
  user: userSchema,
  workspaces: z.array(workspaceSchema),
});
export type Session = z.infer<typeof sessionSchema>;

export const meSchema = z.object({
  user: userSchema.nullable(),
  workspace: workspaceSchema.nullable(),
  scopes: z.array(z.string()).nullable(),
});

export const memberSchema = z.object({
  user_id: idSchema,
  email: z.string(),
  name: z.string(),
  role: roleSchema,
  created_at: timeSchema,
});
export type Member = z.infer<typeof memberSchema>;
export const addMemberInput = z.object({ email: emailSchema, role: roleSchema });

/** What a token may do. A role's own limits apply on top. */
export const scopeSchema = z.enum([
  "sources:read",
  "sources:write",
  "jobs:read",
  "backups:run",
  "snapshots:read",
  "snapshots:remove",
  "restores:run",
  "packages:read",
  "packages:write",
  "storage:read",
  "storage:write",
  "retention:read",
  "retention:write",
  "notices:read",
  "notices:write",
  "keys:export",
  "audit:read",
  "members:read",
  "members:write",
  "workspace:write",
  "tokens:read",
  "tokens:revoke",
]);
export type Scope = z.infer<typeof scopeSchema>;

export const apiTokenSchema = z.object({
  id: idSchema,
  name: z.string(),
  prefix: z.string(),
  scopes: z.array(scopeSchema),
  created_at: timeSchema,
  expires_at: timeSchema,
  last_used_at: timeSchema.nullable(),
  revoked_at: timeSchema.nullable(),
});
export type ApiToken = z.infer<typeof apiTokenSchema>;

export const createTokenInput = z.object({
  name: nameSchema,
  scopes: z.array(scopeSchema).min(1),
  expires_in_days: z.number().int().min(1).max(366).default(90),
});
/** The token itself is in this one answer only. */
export const createdTokenSchema = z.object({ token: z.string(), api_token: apiTokenSchema });

/** Command-line sign-in: e-mail and password for a token of the first (or the named) workspace. */
export const tokenSignInInput = signInInput.extend({
  workspace_id: idSchema.optional(),
  name: nameSchema.default("command line"),
  scopes: z.array(scopeSchema).min(1).optional(),
  expires_in_days: z.number().int().min(1).max(366).default(90),
});
export const tokenSignInOutput = createdTokenSchema.extend({ user: userSchema, workspace: workspaceSchema });

export const auditEntrySchema = z.object({
  seq: z.number().int(),
  at: timeSchema,
  actor_kind: z.enum(["user", "token", "worker", "system", "admin"]),
  actor_id: z.string().nullable(),
  actor_label: z.string(),
  action: z.string(),
  target_kind: z.string().nullable(),
  target_id: z.string().nullable(),
  data: z.record(z.string(), z.unknown()),
  request_id: z.string().nullable(),
  hash: z.string(),
});
export type AuditEntry = z.infer<typeof auditEntrySchema>;

export const auditCheckSchema = z.object({
  ok: z.boolean(),
  entries: z.number().int(),
  head: z.object({ seq: z.number().int(), hash: z.string() }),
  problem: z.object({ seq: z.number().int(), reason: z.string() }).nullable(),
});
