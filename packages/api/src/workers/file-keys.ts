import type { workerProtocol } from "@xvault/contracts";
import { headerSha256, manifestSha256, unwrapFileKey, verifyManifest } from "@xvault/crypto";
import { and, eq, type SnapshotRow, snapshots, type TenantTx } from "@xvault/db";
import { type TenantId, XVaultError } from "@xvault/kernel";
import type { z } from "zod";
import type { ServiceDeps } from "../deps.ts";
import { manifestOf } from "../snapshots/dto.ts";

type Sealed = z.output<(typeof workerProtocol)["unwrap"]["input"]>["sealed"];
type SealedEarlier = z.output<(typeof workerProtocol)["unwrap_earlier"]["input"]>["sealed"];

/** Gives out the file keys of published snapshots, each after a check of what is shown against what the hub itself keeps. Base64. */
export function createFileKeys({ vault, platformKeys }: Pick<ServiceDeps, "vault" | "platformKeys">) {
  /** A snapshot that can be read. @throws NOT_FOUND */
  async function publishedRow(tx: TenantTx, tenantId: TenantId, snapshotId: string): Promise<SnapshotRow> {
    const [row] = await tx
      .select()
      .from(snapshots)
      .where(and(eq(snapshots.tenantId, tenantId), eq(snapshots.id, snapshotId), eq(snapshots.state, "complete")));
    if (!row) throw new XVaultError("NOT_FOUND");
    return row;
  }

  /** Opens age headers of a tenant, each after a check that it is the one that was signed. */
  async function opener(tx: TenantTx, tenantId: TenantId) {
    const identities = await vault.identities(tx, tenantId);
    if (identities.length === 0) throw new XVaultError("KEY_CUSTOMER_HELD");
    return async (header: string, expected: string) => {
      const bytes = Buffer.from(header, "base64");
      if (headerSha256(bytes) !== expected)
        throw new XVaultError("SIGNATURE_INVALID", "The age header is not the one that was signed.");
      return (await unwrapFileKey(bytes, identities)).toString("base64");
    };
  }

  /** The file keys of one snapshot, after a check that the headers are those of the manifest that the hub itself keeps. */
  async function unwrap(tx: TenantTx, tenantId: TenantId, snapshotId: string, sealed: Sealed) {
    const row = await publishedRow(tx, tenantId, snapshotId);
    if (manifestSha256(sealed.manifest) !== row.manifestSha256) {
      throw new XVaultError("SIGNATURE_INVALID", "The manifest on the storage is not the one that was published.");
    }
    verifyManifest(sealed.manifest, platformKeys.rootPublicKeys);
    const open = await opener(tx, tenantId);
    return {
      artifact: await open(sealed.artifact_header, sealed.manifest.artifact.header_sha256),
      index: await open(sealed.index_header, sealed.manifest.index.header_sha256),
    };
  }

  /**
   * The file key of an earlier artifact that a snapshot needs. What decides is the manifest that the hub keeps of that snapshot: whatever it
   * does not name, by this hash, stays shut. The earlier snapshot may have expired meanwhile; its artifact is still there for this one.
   */
  async function unwrapEarlier(tx: TenantTx, tenantId: TenantId, snapshotId: string, sealed: SealedEarlier) {
    const { manifest } = sealed;
    const by = manifestOf(await publishedRow(tx, tenantId, snapshotId));
    const reference = by.references.find((one) => one.snapshot_id === manifest.snapshot_id);
    if (!reference) throw new XVaultError("NOT_FOUND", "The snapshot does not refer to this one.");
    if (manifestSha256(manifest) !== reference.manifest_sha256) {
      throw new XVaultError("SIGNATURE_INVALID", "The manifest on the storage is not the one that is referred to.");
    }
    if (manifest.tenant_id !== by.tenant_id || manifest.source_id !== by.source_id)
      throw new XVaultError("MANIFEST_TENANT_MISMATCH");
    verifyManifest(manifest, platformKeys.rootPublicKeys);
    const open = await opener(tx, tenantId);
    return { artifact: await open(sealed.artifact_header, manifest.artifact.header_sha256) };
  }

  return { publishedRow, unwrap, unwrapEarlier };
}
