import { z } from "zod";
import { externalIdSchema, idSchema, nameSchema, timeSchema } from "./common.ts";
import { placementIdsSchema } from "./storages.ts";
import { packageTypeSchema } from "./tiers.ts";

/** The key by which a server proves who it is. */
export const hostKeySchema = z.object({
  /** As in SSH: 'ssh-ed25519', 'rsa-sha2-512', … */
  algorithm: z.string().min(1).max(100),
  /** The public key blob, base64. */
  key: z.string().min(1).max(10_000),
  /** 'SHA256:' and the unpadded base64 of the blob's hash, as ssh-keygen -l prints it. */
  fingerprint: z.string().min(1).max(200),
});
export type HostKeyMessage = z.infer<typeof hostKeySchema>;

export const hostSchema = z
  .string()
  .trim()
  .min(1)
  .max(253)
  .regex(/^[A-Za-z0-9_.:[\]-]+$/, "a host name or an IP address");
export const portSchema = z.number().int().min(1).max(65_535);
/** Control characters, blanks, '@', ':' and a leading '-' are refused (`USERNAME_INVALID`). */
export const usernameSchema = z.string().min(1).max(64);

/** An absolute path on a source, no '..' part (`PATH_INVALID`). */
export const sourcePathSchema = z
  .string()
  .min(1)
  .max(4096)
  .refine(
    (path) => path.startsWith("/") && !path.split("/").includes("..") && !path.includes("\0"),
    "an absolute path without '..'",
  );

export const addressSchema = z.object({ host: hostSchema, port: portSchema.default(22) });

export const connectionSchema = addressSchema.extend({
  username: usernameSchema,
  host_key: hostKeySchema,
  credential_id: idSchema,
});

const countSchema = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
/** Less than this would keep a run from ever ending. Bytes per second. */
const rateSchema = z.number().int().min(8192).max(Number.MAX_SAFE_INTEGER);

function isTimezone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat("en", { timeZone: name }).resolvedOptions().timeZone !== "";
  } catch {
    return false;
  }
}

/** A part of every week and how fast a source may be read in it. */
export const bandwidthWindowSchema = z.object({
  /** The days on which it begins; 0: Sunday. */
  days: z.array(z.number().int().min(0).max(6)).min(1).max(7),
  /** Wall-clock times of the zone, 'HH:MM'. Up to `to`, not included; one that is not later than `from` lies on the next day. */
  from: z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/, "a time as HH:MM"),
  to: z.string().regex(/^(([01]\d|2[0-3]):[0-5]\d|24:00)$/, "a time as HH:MM"),
  timezone: z.string().min(1).max(64).refine(isTimezone, "the name of a time zone, as Europe/Berlin"),
  /** Null: as fast as it goes. */
  bytes_per_second: rateSchema.nullable(),
});
export type BandwidthWindow = z.infer<typeof bandwidthWindowSchema>;

/** Without defaults: a change must leave what it does not name as it is, and zod fills a default in even where a field is optional. */
const optionFields = {
  /** Do not cross into other mounted file systems. */
  one_file_system: z.boolean(),
  /** How files are pulled: by tar on the remote host, by SFTP, or whichever the host offers. */
  transport: z.enum(["auto", "tar", "sftp"]),
  /**
   * A directory that holds something of one of these names is taken as an empty directory; 'CACHEDIR.TAG' counts only with the signature of
   * the Cache Directory Tagging Specification in it.
   */
  exclude_if_present: z
    .array(
      z
        .string()
        .min(1)
        .max(255)
        .refine((name) => !/[/\0]/.test(name) && name !== "." && name !== "..", "the name of a file, without '/'"),
    )
    .max(20),
  /** Limits for regular files by their size in bytes, both included; null: none. */
  min_file_bytes: countSchema.nullable(),
  max_file_bytes: countSchema.nullable(),
  /**
   * Limits for regular files by their age: whole seconds from their mtime to the start of the run by the source's own clock (over SFTP alone:
   * the worker's), both included; null: none. A file that is younger than `newer_than_seconds` is taken, one that is older is not; with
   * `older_than_seconds` it is the other way round. What a run leaves out is not in its snapshot, whatever was in the one before.
   */
  newer_than_seconds: countSchema.nullable(),
  older_than_seconds: countSchema.nullable(),
  /**
   * Files that nobody has a reason to change. While the newest snapshot has one that is another than before, or none, nothing of the source
   * expires: an attacker who encrypts or deletes files cannot have the good snapshots age away.
   */
  canaries: z.array(sourcePathSchema).max(20),
  /** How many bytes a second may come from the source while no window of `bandwidth` holds; null: as many as come. */
  bytes_per_second: rateSchema.nullable(),
  /** The first window that holds decides. */
  bandwidth: z.array(bandwidthWindowSchema).max(50),
};
/** What is absent, or null or empty, is no limit. */
export const sourceOptionsSchema = z.object({
  one_file_system: optionFields.one_file_system.default(false),
  transport: optionFields.transport.default("auto"),
  exclude_if_present: optionFields.exclude_if_present.optional(),
  min_file_bytes: optionFields.min_file_bytes.optional(),
  max_file_bytes: optionFields.max_file_bytes.optional(),
  newer_than_seconds: optionFields.newer_than_seconds.optional(),
  older_than_seconds: optionFields.older_than_seconds.optional(),
  canaries: optionFields.canaries.optional(),
  bytes_per_second: optionFields.bytes_per_second.optional(),
  bandwidth: optionFields.bandwidth.optional(),
});
export type SourceOptions = z.infer<typeof sourceOptionsSchema>;

const excludesSchema = z.array(z.string().min(1).max(1000)).max(500);

/** A credential as the API shows it: never the secret. */
export const credentialSchema = z.object({
  id: idSchema,
  kind: z.enum(["generated_key", "private_key", "password"]),
  /** The line for authorized_keys, where there is a key pair. */
  public_key: z.string().nullable(),
  fingerprint: z.string().nullable(),
});
export type Credential = z.infer<typeof credentialSchema>;

export const createCredentialInput = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("generated_key") }),
  z.object({
    kind: z.literal("private_key"),
    private_key: z.string().min(1).max(50_000),
    passphrase: z.string().max(1000).optional(),
  }),
  z.object({ kind: z.literal("password"), password: z.string().min(1).max(1000) }),
]);

/**
 * A new source. With `connection` it is a server that xVault pulls from. Without one it registers an edge source (seed's
 * `POST /sources {source_id, label?}`), which pushes by itself.
 */
export const createSourceInput = z.object({
  source_id: externalIdSchema.optional(),
  label: z.string().max(120).optional(),
  name: nameSchema.optional(),
  connection: connectionSchema.optional(),
  paths: z.array(sourcePathSchema).max(100).default([]),
  excludes: excludesSchema.default([]),
  options: sourceOptionsSchema.optional(),
  /** Which rules of retention its snapshots follow; user_data where it is left out. */
  package_type: packageTypeSchema.optional(),
  /** Where it writes to. Absent: the workers' disks. */
  storage_ids: placementIdsSchema.optional(),
  schedule: z.object({ cron: z.string().min(1).max(100), timezone: z.string().min(1).max(64) }).optional(),
});
export type CreateSource = z.input<typeof createSourceInput>;

export const updateSourceInput = z.object({
  id: idSchema,
  name: nameSchema.optional(),
  connection: connectionSchema.extend({ port: portSchema }).partial().optional(),
  paths: z.array(sourcePathSchema).min(1).max(100).optional(),
  excludes: excludesSchema.optional(),
  options: z.object(optionFields).partial().optional(),
  package_type: packageTypeSchema.optional(),
});

export const sourceSchema = z.object({
  id: idSchema,
  /** The edge client's own name for it, or the id again. */
  source_id: z.string(),
  name: z.string(),
  label: z.string(),
  /** 'audit': the workspace's own audit log, as far as it is archived; not among the sources that are listed. */
  kind: z.enum(["ssh", "edge", "audit"]),
  connection: z
    .object({
      host: z.string(),
      port: z.number(),
      username: z.string(),
      host_key: hostKeySchema,
      credential: credentialSchema,
    })
    .nullable(),
  paths: z.array(z.string()),
  excludes: z.array(z.string()),
  options: sourceOptionsSchema,
  package_type: packageTypeSchema,
  state: z.enum(["active", "paused"]),
  paused_reason: z.string().nullable(),
  /** 'unprotected': no good snapshot yet; 'overdue': the schedule's run is missing. */
  health: z.enum(["protected", "warning", "failed", "overdue", "unprotected", "paused"]),
  schedule: z
    .object({
      id: idSchema,
      cron: z.string(),
      timezone: z.string(),
      enabled: z.boolean(),
      next_run_at: timeSchema.nullable(),
    })
    .nullable(),
  last_snapshot: z
    .object({ id: idSchema, created_at: timeSchema, size_bytes: z.number(), files: z.number(), partial: z.boolean() })
    .nullable(),
  last_job: z.object({ id: idSchema, state: z.string(), created_at: timeSchema }).nullable(),
  snapshot_count: z.number().int(),
  last_seen_at: timeSchema.nullable(),
  created_at: timeSchema,
  updated_at: timeSchema,
});
export type Source = z.infer<typeof sourceSchema>;

/** A connection that is being tried: that of a source that exists, or a draft of the stepper. One of the two. */
export const tryConnectionInput = z.object({ source_id: idSchema.optional(), connection: connectionSchema.optional() });

export const preflightCheckSchema = z.object({
  id: z.string(),
  label: z.string(),
  status: z.enum(["ok", "warning", "failed"]),
  message: z.string(),
  fix: z.string().optional(),
});
export type PreflightCheckMessage = z.infer<typeof preflightCheckSchema>;
export const preflightResultSchema = z.object({ ok: z.boolean(), checks: z.array(preflightCheckSchema) });

export const remoteEntrySchema = z.object({
  /** UTF-8, with U+FFFD for what is not; such entries cannot be picked one by one. */
  name: z.string(),
  representable: z.boolean(),
  type: z.enum(["file", "dir", "symlink", "other"]),
  size: z.number(),
  mtime: timeSchema.nullable(),
});
export const browseResultSchema = z.object({
  path: z.string(),
  entries: z.array(remoteEntrySchema),
  truncated: z.boolean(),
});
export type BrowseResult = z.infer<typeof browseResultSchema>;

export const scheduleSchema = z.object({
  id: idSchema,
  source_id: idSchema,
  cron: z.string(),
  timezone: z.string(),
  enabled: z.boolean(),
  next_run_at: timeSchema.nullable(),
  last_run_at: timeSchema.nullable(),
});
export type Schedule = z.infer<typeof scheduleSchema>;
export const scheduleFields = {
  cron: z.string().trim().min(1).max(100),
  timezone: z.string().min(1).max(64).default("UTC"),
};
export const createScheduleInput = z.object({
  source_id: idSchema,
  ...scheduleFields,
  enabled: z.boolean().default(true),
});
export const updateScheduleInput = z.object({
  id: idSchema,
  cron: scheduleFields.cron.optional(),
  timezone: z.string().min(1).max(64).optional(),
  enabled: z.boolean().optional(),
});
