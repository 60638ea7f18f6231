import type { Manifest } from "@xvault/contracts";
import { manifestBytes, manifestSha256, parseManifest, verifyManifest } from "@xvault/crypto";
import { type ErrorCode, isXVaultError, XVaultError } from "@xvault/kernel";
import type { SnapshotPlace } from "./place.ts";
import { referenceTo } from "./references.ts";
import type { SnapshotObjects } from "./snapshot.ts";

export interface CheckOptions {
  /** Root public keys to trust, base64. Empty only together with `allowUnverified`. */
  rootKeys: string[];
  /** Skips the signature (and only it): for a recovery without the hub's root key. */
  allowUnverified?: boolean;
  /** What the snapshot must be; a genuine manifest of another one is refused. */
  expect?: SnapshotPlace;
  /** The largest index that is held once it was read for its hash, and not read again. Default: 8 MiB, that of some 100,000 files. Bytes. */
  heldIndexBytes?: number;
}

/** The manifest of a stored snapshot, found genuine. @throws SIGNATURE_INVALID, MANIFEST_TENANT_MISMATCH, ARCHIVE_MALFORMED, ARTIFACT_MISSING */
export function genuineManifest(objects: SnapshotObjects, options: CheckOptions): Promise<Manifest> {
  return twice(["ARCHIVE_MALFORMED", "SIGNATURE_INVALID"], () => readManifest(objects, options));
}

/**
 * The manifest of an earlier snapshot that `by` refers to: genuine, of the same tenant and source, and the very one that is meant.
 *
 * @throws ARCHIVE_MALFORMED when `by` does not refer to it; what {@link genuineManifest} throws
 */
export function earlierManifest(
  earlier: SnapshotObjects,
  by: Manifest,
  snapshotId: string,
  options: CheckOptions,
): Promise<Manifest> {
  const reference = referenceTo(by, snapshotId);
  const expect = { tenant_id: by.tenant_id, source_id: by.source_id, snapshot_id: snapshotId };
  return twice(["ARCHIVE_MALFORMED", "SIGNATURE_INVALID"], async () => {
    const read = await readManifest(earlier, { ...options, expect });
    if (manifestSha256(read) === reference.manifest_sha256) return read;
    throw new XVaultError("SIGNATURE_INVALID", "Its manifest is not the one that is referred to.");
  });
}

/** A disk or a link may garble one read: a check that fails with one of `codes` is made once more (promise 18). */
export async function twice<T>(codes: ErrorCode[], check: () => Promise<T>): Promise<T> {
  try {
    return await check();
  } catch (error) {
    if (!isXVaultError(error, ...codes)) throw error;
    return check();
  }
}

async function readManifest(objects: SnapshotObjects, options: CheckOptions): Promise<Manifest> {
  const bytes = await objects.manifest();
  const manifest = parseManifest(bytes);
  if (!options.allowUnverified) {
    verifyManifest(manifest, options.rootKeys);
    // The signature is over the members that this version knows: nothing else may stand beside them.
    if (!manifestBytes(manifest).equals(bytes)) {
      throw new XVaultError("SIGNATURE_INVALID", "The stored manifest is not byte for byte the one that was signed.");
    }
  }
  const { expect } = options;
  if (
    expect &&
    (manifest.tenant_id !== expect.tenant_id ||
      manifest.source_id !== expect.source_id ||
      manifest.snapshot_id !== expect.snapshot_id)
  ) {
    throw new XVaultError("MANIFEST_TENANT_MISMATCH");
  }
  return manifest;
}
