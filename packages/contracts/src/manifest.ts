import { z } from "zod";
import { idSchema, timeSchema } from "./common.ts";

const hex64 = z.string().regex(/^[0-9a-f]{64}$/);

/** By which the hub vouches for a worker's signing key; itself signed by the hub's root key. See `verifyCertificate` in crypto. */
export const workerCertificateSchema = z.object({
  version: z.literal(1),
  worker_id: idSchema,
  /** Ed25519, the raw 32 bytes in base64. */
  public_key: z.string(),
  not_before: timeSchema,
  not_after: timeSchema,
  /** Id of the root key that signed. */
  issuer: z.string(),
  signature: z.string(),
});

/** The part of `manifest.json` that the worker signs, over its canonical JSON (RFC 8785). Sizes in bytes, hashes in hex. */
export const manifestBodySchema = z.object({
  format: z.literal(1),
  tenant_id: idSchema,
  source_id: idSchema,
  snapshot_id: idSchema,
  job_id: idSchema,
  worker_id: idSchema,
  attempt: z.number().int().min(1),
  engine: z.literal("archive"),
  started_at: timeSchema,
  created_at: timeSchema,
  /** Number of this snapshot in its source's chain, from 1, and the one before it. */
  sequence: z.number().int().min(1),
  previous: z.object({ snapshot_id: idSchema, manifest_sha256: hex64 }).nullable(),
  /** True when part of the source could not be read. */
  partial: z.boolean(),
  artifact: z.object({
    name: z.literal("backup.tar.zst.enc"),
    size_bytes: z.number().int(),
    sha256: hex64,
    /** Hash of the age header, which stands at the artifact's beginning. */
    header_sha256: hex64,
    header_bytes: z.number().int(),
    /** After compression, before encryption. */
    compressed_bytes: z.number().int(),
    tar_bytes: z.number().int(),
  }),
  index: z.object({
    name: z.literal("index.zst.enc"),
    size_bytes: z.number().int(),
    sha256: hex64,
    header_sha256: hex64,
    header_bytes: z.number().int(),
  }),
  blocks: z.object({
    name: z.literal("blocks.bin"),
    block_bytes: z.number().int(),
    count: z.number().int(),
    /** Merkle root over the blocks' hashes (RFC 6962). */
    root: hex64,
  }),
  encryption: z.object({
    algorithm: z.literal("age-encryption.org/v1"),
    recipients: z.array(z.object({ fingerprint: z.string() })).min(1),
  }),
  contents: z.object({
    files: z.number().int(),
    directories: z.number().int(),
    links: z.number().int(),
    /** Sum of the files' sizes. */
    plain_bytes: z.number().int(),
    problems: z.number().int(),
  }),
  /** Earlier snapshots whose artifacts this one needs. */
  references: z.array(z.object({ snapshot_id: idSchema, manifest_sha256: hex64, live_bytes: z.number().int() })),
  certificate: workerCertificateSchema,
});
export type ManifestBody = z.infer<typeof manifestBodySchema>;

/** `manifest.json` as it lies on storage: the signed body and the signature (Ed25519, base64). */
export const manifestSchema = manifestBodySchema.extend({ signature: z.string() });
export type Manifest = z.infer<typeof manifestSchema>;

/** Separates manifest signatures from all others made with the same key. */
export const MANIFEST_DOMAIN = "xvault manifest v1\n";

/** What the worker signs when a snapshot is removed on purpose: with it a gap in the source's chain is no finding. */
export const tombstoneBodySchema = z.object({
  format: z.literal(1),
  kind: z.literal("xvault-tombstone"),
  tenant_id: idSchema,
  source_id: idSchema,
  snapshot_id: idSchema,
  worker_id: idSchema,
  /** Of the removed snapshot: its place in the chain and its manifest. */
  sequence: z.number().int().min(1),
  manifest_sha256: hex64,
  previous: z.object({ snapshot_id: idSchema, manifest_sha256: hex64 }).nullable(),
  removed_at: timeSchema,
  reason: z.string().max(500),
  certificate: workerCertificateSchema,
});
export type TombstoneBody = z.infer<typeof tombstoneBodySchema>;

/** `tombstone.json`, which stands where a snapshot was. */
export const tombstoneSchema = tombstoneBodySchema.extend({ signature: z.string() });
export type Tombstone = z.infer<typeof tombstoneSchema>;

/** Separates tombstones from all else that is signed with the same key. */
export const TOMBSTONE_DOMAIN = "xvault tombstone v1\n";

/** `meta.json`: whose files these are. */
export const metaSchema = z.object({
  format: z.literal(1),
  tenant_id: idSchema,
  source_id: idSchema,
  snapshot_id: idSchema,
  worker_id: idSchema,
});
