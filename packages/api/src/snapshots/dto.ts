import { type Copy, manifestSchema, packageTypeSchema, type Snapshot } from "@xvault/contracts";
import { and, eq, inArray, type SnapshotRow, tenantKeys, type TenantTx } from "@xvault/db";
import { shortId, type TenantId, XVaultError } from "@xvault/kernel";
import { isReadable, type PlacedCopy } from "../storages/copies.ts";
import { placeOf } from "../storages/refs.ts";

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

/** A published snapshot as the API shows it. `copies`: all that are not removed, in the order in which they are read. */
export function toSnapshot(
  row: SnapshotRow,
  source: { name: string; edgeId: string | null; packageType: string } | null,
  holders: Map<string, Holder>,
  copies: readonly PlacedCopy[],
): Snapshot {
  if (row.state === "pending") throw new XVaultError("NOT_FOUND");
  // What is not damaged in a damaged copy can be read, too.
  const readable = copies.filter(
    (placed) => isReadable(placed) || (placed.copy.state === "corrupt" && placed.worker?.state !== "revoked"),
  );
  const first = copies.find(isReadable) ?? readable[0] ?? copies[0];
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
    locator: locatorOf(row, first),
    tier: first?.storage.tier ?? "hot",
    package_type: packageTypeSchema.catch("user_data").parse(source?.packageType),
    copies: copies.filter(({ copy }) => copy.state === "complete").length,
    reachable: readable.length > 0,
    pinned: row.pinnedAt !== null,
    pin_note: row.pinNote,
    held_until: row.heldUntil?.toISOString() ?? null,
    removed_at: row.state === "expired" ? (row.expiresAt?.toISOString() ?? null) : null,
    started_at: (row.startedAt ?? row.createdAt).toISOString(),
    created_at: row.createdAt.toISOString(),
  };
}

/** Where one copy lies. */
function locatorOf(row: SnapshotRow, placed: PlacedCopy | undefined): Snapshot["locator"] {
  if (!placed) {
    const nowhere = { local_path: null, bucket: null, key: null };
    return { storage_backend: "local_fs", storage_id: null, worker_id: row.workerId, ...nowhere };
  }
  const { copy, storage, platform } = placed;
  const place = placeOf(storage, platform);
  const prefix = place.kind === "s3" && place.config.prefix !== "" ? `${place.config.prefix}/` : "";
  return {
    storage_backend: storage.kind,
    storage_id: storage.id,
    worker_id: copy.workerId,
    local_path: storage.kind === "local_fs" ? copy.location : null,
    bucket: place.kind === "s3" ? place.config.bucket : null,
    key: storage.kind === "local_fs" ? null : `${prefix}backups/${row.tenantId}/${row.sourceId}/${row.id}`,
  };
}

/** One copy as the API shows it. */
export function toCopy({ copy, storage }: PlacedCopy): Copy {
  return {
    id: copy.id,
    snapshot_id: copy.snapshotId,
    storage_id: copy.storageId,
    storage_name: storage.name,
    storage_backend: storage.kind,
    tier: storage.tier,
    worker_id: copy.workerId,
    location: copy.location,
    state: copy.state,
    size_bytes: copy.sizeBytes,
    locked_until: copy.lockedUntil?.toISOString() ?? null,
    checked_at: copy.checkedAt?.toISOString() ?? null,
    checked_depth: copy.checkedDepth,
    check: copy.check,
    created_at: copy.createdAt.toISOString(),
  };
}

/** The signed manifest that the worker handed in at publication. */
export function manifestOf(row: SnapshotRow) {
  return manifestSchema.parse(row.manifest);
}
