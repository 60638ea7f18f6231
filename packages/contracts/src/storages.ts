import { z } from "zod";
import { idSchema, nameSchema, timeSchema } from "./common.ts";
import { tierSchema } from "./tiers.ts";

export const storageKindSchema = z.enum(["local_fs", "s3", "rclone"]);
export type StorageKind = z.infer<typeof storageKindSchema>;

/** A part of a key or of a path: letters, digits, '.', '_' and '-', not beginning with '.' or '-'. */
const segment = "[A-Za-z0-9_][A-Za-z0-9._-]{0,99}";
const TENANT = "{tenant_id}";
/** An id in its place, to judge the rest by. */
const withTenant = (text: string): string => text.replace(TENANT, "0".repeat(36));

const PREFIX = new RegExp(`^(${segment}(/${segment})*)?$`);
const prefixSchema = z
  .string()
  .max(300)
  .refine((prefix) => PREFIX.test(withTenant(prefix)), "segments of letters, digits, '.', '_' and '-', joined by '/'");

/** A folder below each worker's storage base path: '' for the base path itself, else one name, where an operator may mount a disk or a share. */
export const localConfigSchema = z.object({
  folder: z
    .string()
    .regex(/^([a-z0-9][a-z0-9-]{0,49})?$/, "a name of lower-case letters, digits and '-', or nothing")
    .default(""),
});

function isBucketName(name: string): boolean {
  return /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(withTenant(name));
}

export const s3ConfigSchema = z.object({
  /** Null: Amazon's own for the region. */
  endpoint: z
    .url({ protocol: /^https?$/ })
    .max(500)
    .nullable()
    .default(null),
  region: z.string().trim().min(1).max(100).default("us-east-1"),
  /** In a storage that the operator offers, `{tenant_id}` stands for the workspace's id, here and in the prefix. */
  bucket: z.string().refine(isBucketName, "a bucket name: 3 to 63 lower-case letters, digits, '.' and '-'"),
  /** Goes before every key. */
  prefix: prefixSchema.default(""),
  /** The bucket in the path and not in the host name, as Garage, MinIO and Ceph want it. */
  path_style: z.boolean().default(true),
  storage_class: z.string().max(100).nullable().default(null),
  /** Certificates (PEM) to trust for this endpoint beside the system's own. */
  ca_pem: z.string().max(50_000).nullable().default(null),
  /** Locks what is written for so many days, and longer while later snapshots need it. */
  lock: z
    .object({ mode: z.enum(["GOVERNANCE", "COMPLIANCE"]), days: z.number().int().min(1).max(36_500) })
    .nullable()
    .default(null),
});
export type S3Config = z.infer<typeof s3ConfigSchema>;

export const rcloneConfigSchema = z.object({
  /** As rclone calls it: 'b2', 'drive', 'webdav', … */
  remote_type: z.string().regex(/^[a-z0-9]{1,40}$/, "the name of an rclone remote type"),
  parameters: z.record(z.string().regex(/^[a-z0-9_]{1,60}$/), z.string().max(4096)).default({}),
  /** Where in the remote: a bucket, or folders. */
  path: z.string().max(1000).default(""),
});
export type RcloneConfig = z.infer<typeof rcloneConfigSchema>;

/** What opens a storage. Sealed in the database, handed to the worker that holds a job; never shown again. */
export const storageSecretSchema = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("s3"),
    access_key_id: z.string().min(1).max(200),
    secret_access_key: z.string().min(1).max(1000),
  }),
  z.object({
    kind: z.literal("rclone"),
    parameters: z.record(z.string().regex(/^[a-z0-9_]{1,60}$/), z.string().max(20_000)),
  }),
]);
export type StorageSecret = z.infer<typeof storageSecretSchema>;

/** Kind and place of a storage, without what opens it. */
export const storagePlaceSchema = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("local_fs"), config: localConfigSchema }),
  z.object({ kind: z.literal("s3"), config: s3ConfigSchema }),
  z.object({ kind: z.literal("rclone"), config: rcloneConfigSchema }),
]);
export type StoragePlace = z.infer<typeof storagePlaceSchema>;

/** A storage as a job's payload and a redeemed ticket name it. The secret comes by a call of its own. */
export const storageRefSchema = z.object({ id: idSchema, name: z.string(), place: storagePlaceSchema });
export type StorageRef = z.infer<typeof storageRefSchema>;

/** One step of trying a storage. */
export const storageCheckSchema = z.object({
  id: z.string(),
  label: z.string(),
  status: z.enum(["ok", "failed", "skipped"]),
  message: z.string(),
  fix: z.string().optional(),
});
export type StorageCheck = z.infer<typeof storageCheckSchema>;

export const storageSchema = z.object({
  id: idSchema,
  name: z.string(),
  kind: storageKindSchema,
  tier: tierSchema,
  /** 'workspace': its own; 'platform': the operator's, with a place of the workspace's own on it. */
  owner: z.enum(["workspace", "platform"]),
  config: z.record(z.string(), z.unknown()),
  /** For people: where it is, in a line. */
  location: z.string(),
  state: z.enum(["active", "retired"]),
  /** What is known of locks: none asked for, asked for but never proven by a refused removal, or proven. */
  lock: z.enum(["none", "unproven", "enforced"]),
  tested_at: timeSchema.nullable(),
  test: z.array(storageCheckSchema).nullable(),
  copies: z.number().int(),
  bytes: z.number(),
  /** Names of the sources that write there. */
  sources: z.array(z.string()),
  created_at: timeSchema,
});
export type Storage = z.infer<typeof storageSchema>;

export const createStorageInput = z.object({
  name: nameSchema,
  tier: tierSchema.default("hot"),
  place: storagePlaceSchema,
  secret: storageSecretSchema.optional(),
});
/** Where it lies cannot change once copies are there; who opens it can. */
export const updateStorageInput = z.object({
  id: idSchema,
  name: nameSchema.optional(),
  tier: tierSchema.optional(),
  secret: storageSecretSchema.optional(),
});
export const storageTestSchema = z.object({ ok: z.boolean(), checks: z.array(storageCheckSchema) });

/** The storages that a source writes to, the first one first. Empty: the workers' disks. */
export const placementIdsSchema = z.array(idSchema).max(8);
export const setPlacementInput = z.object({ source_id: idSchema, storage_ids: placementIdsSchema });
export const placementSchema = z.object({ source_id: idSchema, storages: z.array(storageSchema) });

export const copyStateSchema = z.enum(["complete", "missing", "corrupt", "removing", "removed"]);
export const checkDepthSchema = z.enum(["presence", "sample", "whole", "content"]);
export type CheckDepth = z.infer<typeof checkDepthSchema>;

/** One whole copy of a snapshot on a storage. */
export const copySchema = z.object({
  id: idSchema,
  snapshot_id: idSchema,
  storage_id: idSchema,
  storage_name: z.string(),
  storage_backend: storageKindSchema,
  tier: tierSchema,
  worker_id: idSchema.nullable(),
  location: z.string(),
  state: copyStateSchema,
  size_bytes: z.number(),
  locked_until: timeSchema.nullable(),
  checked_at: timeSchema.nullable(),
  checked_depth: checkDepthSchema.nullable(),
  check: z.record(z.string(), z.unknown()).nullable(),
  created_at: timeSchema,
});
export type Copy = z.infer<typeof copySchema>;

/** Another copy of a snapshot on a storage; with `move`, those elsewhere go once it is there and checked. */
export const copySnapshotInput = z.object({
  snapshot_id: idSchema,
  storage_id: idSchema,
  move_from: idSchema.optional(),
});
/** Moves every snapshot that has a copy on one storage to another, oldest first; at no time is there none. */
export const migrateStorageInput = z.object({ id: idSchema, to: idSchema, keep: z.boolean().default(false) });
export const migrateStorageOutput = z.object({ jobs: z.number().int() });

/** A storage that the operator offers to workspaces. `{tenant_id}` in a bucket's name stands for the workspace's id. */
export const createPlatformStorageInput = createStorageInput.extend({
  offered: z.boolean().default(true),
  /** Each workspace needs a key of its own; those that have none are not shown it. */
  own_keys: z.boolean().default(false),
});
export const updatePlatformStorageInput = updateStorageInput.extend({
  offered: z.boolean().optional(),
  own_keys: z.boolean().optional(),
});
export const platformStorageSchema = z.object({
  id: idSchema,
  name: z.string(),
  kind: storageKindSchema,
  tier: tierSchema,
  config: z.record(z.string(), z.unknown()),
  location: z.string(),
  offered: z.boolean(),
  own_keys: z.boolean(),
  workspaces: z.number().int(),
  /** How many of them have a key of their own. */
  keyed: z.number().int(),
  created_at: timeSchema,
  retired_at: timeSchema.nullable(),
});
export type PlatformStorage = z.infer<typeof platformStorageSchema>;

/** What opens the operator's storage for one workspace: its jobs get this and nothing else. */
export const setStorageKeyInput = z.object({ id: idSchema, tenant_id: idSchema, secret: storageSecretSchema });
export const storageKeySchema = z.object({
  tenant_id: idSchema,
  tenant_name: z.string(),
  /** Whether the workspace has a place on the storage; a key gives it one. */
  has_place: z.boolean(),
  own_key: z.boolean(),
});
export type StorageKey = z.infer<typeof storageKeySchema>;
