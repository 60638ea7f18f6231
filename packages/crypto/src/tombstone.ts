import {
  type Manifest,
  TOMBSTONE_DOMAIN,
  type Tombstone,
  type TombstoneBody,
  tombstoneSchema,
} from "@xvault/contracts";
import { canonicalJson, type Json, XVaultError } from "@xvault/kernel";
import { verifyCertificate } from "./signing/certificate.ts";
import { signDocument, verifyDocument } from "./signing/documents.ts";

const MAX_TOMBSTONE_BYTES = 64 * 1024;

/** Signs a tombstone with the worker's private key (PEM). */
export function signTombstone(body: TombstoneBody, privateKey: string): Tombstone {
  return { ...body, signature: signDocument(body, privateKey, TOMBSTONE_DOMAIN) };
}

/** The one byte form of a tombstone, as `tombstone.json` holds it: canonical JSON (RFC 8785). */
export function tombstoneBytes(tombstone: Tombstone): Buffer {
  return Buffer.from(canonicalJson(tombstone as unknown as Json), "utf8");
}

/** Reads `tombstone.json`. Says nothing about who wrote it: see {@link verifyTombstone}. @throws ARCHIVE_MALFORMED */
export function parseTombstone(bytes: Buffer): Tombstone {
  try {
    if (bytes.length > MAX_TOMBSTONE_BYTES) throw new Error("it is too long");
    return tombstoneSchema.parse(JSON.parse(bytes.toString("utf8")));
  } catch (cause) {
    throw new XVaultError("ARCHIVE_MALFORMED", "The tombstone does not follow its format.", { cause });
  }
}

/**
 * Checks that a worker of this platform removed the snapshot: as {@link verifyManifest} does for a manifest.
 *
 * @throws SIGNATURE_INVALID
 */
export function verifyTombstone(tombstone: Tombstone, rootKeys: string[]): void {
  const { signature, ...body } = tombstone;
  verifyCertificate(tombstone.certificate, rootKeys, new Date(tombstone.removed_at));
  if (tombstone.certificate.worker_id !== tombstone.worker_id) {
    throw new XVaultError("SIGNATURE_INVALID", "The tombstone's certificate belongs to another worker.");
  }
  verifyDocument(body, signature, tombstone.certificate.public_key, TOMBSTONE_DOMAIN);
}

/** Whether a tombstone stands for what a manifest names as the snapshot before it. */
export function standsFor(tombstone: Tombstone, previous: NonNullable<Manifest["previous"]>): boolean {
  return tombstone.snapshot_id === previous.snapshot_id && tombstone.manifest_sha256 === previous.manifest_sha256;
}
