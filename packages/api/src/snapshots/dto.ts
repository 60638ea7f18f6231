import { manifestSchema, type Snapshot } from "@xvault/contracts";
import { and, eq, inArray, type SnapshotRow, tenantKeys, type TenantTx } from "@xvault/db";
import { shortId, type TenantId, XVaultError } from "@xvault/kernel";

type Holder = Snapshot["key_holder"];

/** Fingerprint → who holds the identity, for all keys that the tenant ever had. */
export async function keyHolders(tx: TenantTx, tenantId: TenantId): Promise<Map<string, Holder>> {
  const rows = await tx.select().from(tenantKeys).where(eq(tenantKeys.tenantId, tenantId));
  return new Map(rows.map((row) => [row.fingerprint, row.holder]));
}

/** Who can open a snapshot with these recipients: the platform if it holds one of the identities, else the customer alone. */
export async function keyHolder(tx: TenantTx, tenantId: TenantId, fingerprints: string[]): Promise<Holder> {
  if (fingerprints.length === 0) return "customer";
  const rows = await tx
    .select({ holder: tenantKeys.holder })
    .from(tenantKeys)
    .where(and(eq(tenantKeys.tenantId, tenantId), inArray(tenantKeys.fingerprint, fingerprints)));
  return rows.some((row) => row.holder === "platform") ? "platform" : "customer";
}

/** A published snapshot as the API shows it. `revoked`: ids of the workers that are locked out. */
export function toSnapshot(
  row: SnapshotRow,
  source: { name: string; edgeId: string | null } | null,
  holders: Map<string, Holder>,
  revoked: ReadonlySet<string>,
): Snapshot {
  if (row.state === "pending") throw new XVaultError("NOT_FOUND");
  return {
    id: row.id,
    short_id: shortId(row.id),
    source_id: source?.edgeId ?? row.sourceId,
    source_name: source?.name ?? "removed source",
    job_id: row.jobId,
    state: row.state,
    partial: row.partial,
    sequence: row.sequence ?? 0,
    size_bytes: row.sizeBytes ?? 0,
    plain_bytes: row.plainBytes ?? 0,
    files: row.files ?? 0,
    directories: row.directories ?? 0,
    problems: row.problems ?? 0,
    sha256: row.sha256 ?? "",
    key_fingerprints: row.keyFingerprints,
    key_holder: row.keyFingerprints.some((fingerprint) => holders.get(fingerprint) === "platform")
      ? "platform"
      : "customer",
    locator: {
      storage_backend: row.storageBackend,
      worker_id: row.workerId,
      local_path: row.localPath,
      bucket: row.bucket,
      key: row.objectKey,
    },
    reachable: !revoked.has(row.workerId),
    removed_at: row.state === "expired" ? (row.expiresAt?.toISOString() ?? null) : null,
    started_at: (row.startedAt ?? row.createdAt).toISOString(),
    created_at: row.createdAt.toISOString(),
  };
}

/** The signed manifest that the worker handed in at publication. */
export function manifestOf(row: SnapshotRow) {
  return manifestSchema.parse(row.manifest);
}
