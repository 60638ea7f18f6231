import { z } from "zod";
import { idSchema, timeSchema } from "./common.ts";
import { workerCertificateSchema } from "./manifest.ts";

const hex64 = z.string().regex(/^[0-9a-f]{64}$/);

/** Who vouches for a statement: a worker, for whose key the hub's root key vouches; or whoever holds the identity that opened the snapshot. */
export const proofSignerSchema = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("worker"), certificate: workerCertificateSchema }),
  /** Ed25519, the raw 32 bytes in base64: `proofKeyOf` the identity. No hub knows it; its holder tells others which it is. */
  z.object({ kind: z.literal("key_holder"), public_key: z.string() }),
]);
export type ProofSigner = z.infer<typeof proofSignerSchema>;

/**
 * What is stated, and signed over its canonical JSON (RFC 8785), when a snapshot was restored to nowhere: decrypted, decompressed, each file
 * held against its hash in the index. Whoever reads it needs neither the hub nor the storage. Sizes in bytes, hashes in hex.
 */
export const restoreProofBodySchema = z.object({
  format: z.literal(1),
  kind: z.literal("xvault-restore-proof"),
  tenant_id: idSchema,
  source_id: idSchema,
  snapshot_id: idSchema,
  /** The hub's job; null where no hub was asked. */
  job_id: idSchema.nullable(),
  /** Of the snapshot that was to be restored: by this hash everything about it is fixed. */
  manifest_sha256: hex64,
  sequence: z.number().int().min(1),
  created_at: timeSchema,
  /** Where its bytes were read. `id` is null where the storage has none that is known. */
  storage: z.object({ id: idSchema.nullable(), kind: z.string().max(40).nullable() }),
  started_at: timeSchema,
  finished_at: timeSchema,
  /** From the first look at the snapshot to the last byte. */
  seconds: z.number().min(0),
  restored: z.object({
    /** All files; or some drawn by chance, and the largest and the newest one. */
    mode: z.enum(["all", "sample"]),
    files: z.number().int().min(0),
    /** Files that the snapshot has; null when it could not be told. */
    of_files: z.number().int().min(0).nullable(),
    /** Of the files' contents. */
    bytes: z.number().min(0),
    /** Read of the storage for it. */
    read_bytes: z.number().min(0),
  }),
  outcome: z.enum(["passed", "failed"]),
  /** Why it failed. */
  failure: z.object({ code: z.string().max(100), message: z.string().max(2000) }).nullable(),
  /** Fingerprints of the recipients with whose identities it was opened. */
  keys: z.array(z.string().max(100)).max(100),
  versions: z.object({ xvault: z.string().max(50), node: z.string().max(50), format: z.number().int() }),
  signer: proofSignerSchema,
});
export type RestoreProofBody = z.infer<typeof restoreProofBodySchema>;

/** The statement with its signature (Ed25519, base64): what is kept, downloaded and checked. */
export const restoreProofSchema = restoreProofBodySchema.extend({ signature: z.string() });
export type RestoreProof = z.infer<typeof restoreProofSchema>;

/** Separates these statements from all else that is signed with the same key. */
export const PROOF_DOMAIN = "xvault restore proof v1\n";
