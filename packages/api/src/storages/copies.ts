import {
  and,
  asc,
  copies,
  type CopyRow,
  eq,
  inArray,
  platformStorages,
  storages,
  type StorageRow,
  type TenantTx,
  type WorkerRow,
  workers,
} from "@xvault/db";
import { XVaultError } from "@xvault/kernel";
import { PLATFORM_PART, type PlatformPart } from "./refs.ts";

/** A copy of a snapshot with the storage that it lies on, and the worker whose disk that is. */
export interface PlacedCopy {
  copy: CopyRow;
  storage: StorageRow;
  platform: PlatformPart | null;
  worker: WorkerRow | null;
}

const TIER_ORDER = { hot: 0, warm: 1, cold: 2, offsite: 3 } as const;
const KIND_ORDER = { local_fs: 0, s3: 1, rclone: 2 } as const;

/** All copies of some snapshots that are not removed, in the order in which they are read: by tier, a worker's own disk first. */
export async function copiesOf(
  tx: TenantTx,
  tenantId: string,
  snapshotIds: readonly string[],
  states: readonly CopyRow["state"][] = ["complete", "missing", "corrupt", "removing"],
): Promise<PlacedCopy[]> {
  if (snapshotIds.length === 0) return [];
  const rows = await tx
    .select({ copy: copies, storage: storages, platform: PLATFORM_PART, worker: workers })
    .from(copies)
    .innerJoin(storages, and(eq(storages.tenantId, copies.tenantId), eq(storages.id, copies.storageId)))
    .leftJoin(platformStorages, eq(platformStorages.id, storages.platformStorageId))
    .leftJoin(workers, eq(workers.id, copies.workerId))
    .where(
      and(
        eq(copies.tenantId, tenantId),
        inArray(copies.snapshotId, [...snapshotIds]),
        inArray(copies.state, [...states]),
      ),
    )
    .orderBy(asc(copies.createdAt));
  return rows.toSorted(
    (a, b) =>
      TIER_ORDER[a.storage.tier] - TIER_ORDER[b.storage.tier] ||
      KIND_ORDER[a.storage.kind] - KIND_ORDER[b.storage.kind],
  );
}

/** Whether a copy can be read: whole as far as is known, and not on the disk of a worker that is locked out. */
export function isReadable({ copy, worker }: PlacedCopy): boolean {
  return copy.state === "complete" && worker?.state !== "revoked";
}

/**
 * The copy by which a snapshot is read: a whole one, else a damaged one.
 *
 * @throws NO_WORKER where all that are whole lie with workers that were revoked; ARTIFACT_MISSING where none is whole
 */
export async function readableCopy(tx: TenantTx, tenantId: string, snapshotId: string): Promise<PlacedCopy> {
  const all = await copiesOf(tx, tenantId, [snapshotId]);
  const found = all.find(isReadable);
  if (found) return found;
  // What is not damaged in a damaged copy can still be had, block by block.
  const inPart = all.find(({ copy, worker }) => copy.state === "corrupt" && worker?.state !== "revoked");
  if (inPart) return inPart;
  if (all.some(({ copy }) => copy.state === "complete")) {
    throw new XVaultError("NO_WORKER", "The worker that holds this snapshot was revoked.", {
      fix: "Bring its storage to another worker, or read the stored files offline with 'xvault recover' and a recovery kit.",
      retry: false,
    });
  }
  throw new XVaultError("ARTIFACT_MISSING", "No copy of this snapshot is whole any more.");
}
