import { z } from "zod";
import { idSchema, pageInputSchema, snapshotPathSchema, timeSchema } from "./common.ts";
import { manifestSchema } from "./manifest.ts";
import { packageTypeSchema, tierSchema } from "./tiers.ts";
import { copySchema, storageKindSchema } from "./storages.ts";

/** Where a snapshot lies: of its copies the one that is read first. Where there is none any more, the last one. */
export const locatorSchema = z.object({
  storage_backend: storageKindSchema,
  storage_id: idSchema.nullable(),
  worker_id: idSchema.nullable(),
  local_path: z.string().nullable(),
  bucket: z.string().nullable(),
  key: z.string().nullable(),
});
export type Locator = z.infer<typeof locatorSchema>;

export const snapshotSchema = z.object({
  id: idSchema,
  /** Eight hex digits for people. */
  short_id: z.string(),
  source_id: z.string(),
  source_name: z.string(),
  job_id: idSchema,
  state: z.enum(["complete", "expired", "lost"]),
  /** True when some of the source could not be read. */
  partial: z.boolean(),
  sequence: z.number().int(),
  size_bytes: z.number(),
  plain_bytes: z.number(),
  files: z.number().int(),
  directories: z.number().int(),
  problems: z.number().int(),
  sha256: z.string(),
  /** Of the recipients that can open it. */
  key_fingerprints: z.array(z.string()),
  /** Who can decrypt it: decides whether the platform can browse and restore it. */
  key_holder: z.enum(["platform", "customer"]),
  locator: locatorSchema,
  tier: tierSchema,
  package_type: packageTypeSchema,
  /** Copies that are whole, as far as is known. */
  copies: z.number().int(),
  /** False while no copy can be read: the worker that has the files was revoked, or all are gone. Where `copies` is 0 a damaged one can, in part. */
  reachable: z.boolean(),
  /** Kept whatever the rules say. */
  pinned: z.boolean(),
  pin_note: z.string().nullable(),
  held_until: timeSchema.nullable(),
  /** When it was removed for good; null while it is there. */
  removed_at: timeSchema.nullable(),
  started_at: timeSchema,
  created_at: timeSchema,
});
export type Snapshot = z.infer<typeof snapshotSchema>;

export const listSnapshotsInput = pageInputSchema.extend({ source_id: z.string().min(1).max(256).optional() });
export const snapshotDetailSchema = snapshotSchema.extend({
  manifest: manifestSchema,
  all_copies: z.array(copySchema),
});

/** A short-lived right to talk to the worker that holds a snapshot. The hub itself carries no bytes. */
export const ticketSchema = z.object({
  ticket: z.string(),
  /** Base URL of the worker's data listener, without a trailing slash. */
  data_url: z.string(),
  expires_at: timeSchema,
});
export type Ticket = z.infer<typeof ticketSchema>;

export const browseTicketInput = z.object({ snapshot_id: idSchema });
export const downloadTicketInput = z.object({
  snapshot_id: idSchema,
  /** Entries to download, each with all below it. Empty: everything. */
  paths: z.array(snapshotPathSchema).max(10_000).default([]),
  /** 'file' gives the bytes of the one file named; 'tar' a tar of all that is named; 'raw' the stored objects as they lie, for reading where the identity is. */
  format: z.enum(["tar", "file", "raw"]),
});
/** The same with the address ready to open in a browser (formats 'tar' and 'file'). */
export const downloadTicketSchema = ticketSchema.extend({ url: z.string().nullable() });

/** What a ticket says, inside its signature. Audience: the worker's id. */
export const ticketClaimsSchema = z.object({
  kind: z.enum(["browse", "tar", "file", "raw"]),
  tenant_id: idSchema,
  source_id: idSchema,
  snapshot_id: idSchema,
  paths: z.array(z.string()),
});
export type TicketClaims = z.infer<typeof ticketClaimsSchema>;

/** An entry of a snapshot as the data listener's `GET /v1/tree` lists it. Directories carry what lies below them. */
export const treeEntrySchema = z.object({
  path: z.string(),
  name: z.string(),
  type: z.enum(["file", "dir", "symlink", "hardlink"]),
  size: z.number(),
  /** Files below, for a directory. */
  files: z.number().int().optional(),
  mode: z.number().int().nullable(),
  mtime: timeSchema.nullable(),
  sha256: z.string().optional(),
  link: z.string().optional(),
  problem: z.string().optional(),
});
export type TreeEntry = z.infer<typeof treeEntrySchema>;
export const treeSchema = z.object({ path: z.string(), entries: z.array(treeEntrySchema), truncated: z.boolean() });
export type Tree = z.infer<typeof treeSchema>;

/** Removes a snapshot for good; its place in the chain keeps a signed tombstone. */
export const removeSnapshotInput = z.object({
  id: z.string().min(4).max(36),
  reason: z.string().trim().max(500).default("Removed by hand."),
});
