import {
  and,
  asc,
  eq,
  isNull,
  placements,
  platformStorages,
  sources,
  storages,
  type StorageRow,
  type TenantTx,
} from "@xvault/db";
import { newId, type TenantId, XVaultError } from "@xvault/kernel";
import { checkKey, hasKey, PLATFORM_PART, type PlatformPart } from "./refs.ts";

export interface PlacedStorage {
  storage: StorageRow;
  platform: PlatformPart | null;
}

const WORKER_DISKS = "Worker disks";

/** What a new workspace may write to: the workers' disks, and what the operator offers to all. */
export async function giveStorages(tx: TenantTx, tenantId: TenantId): Promise<void> {
  const disks = { kind: "local_fs", tier: "hot", config: { folder: "" } } as const;
  await tx.insert(storages).values({ id: newId(), tenantId, name: WORKER_DISKS, ...disks });
  const columns = { id: platformStorages.id, name: platformStorages.name, kind: platformStorages.kind };
  const offered = await tx
    .select({ ...columns, tier: platformStorages.tier })
    .from(platformStorages)
    .where(and(eq(platformStorages.offered, true), isNull(platformStorages.retiredAt)));
  for (const { id, ...one } of offered)
    await tx.insert(storages).values({ id: newId(), tenantId, ...one, config: {}, platformStorageId: id });
}

/** A storage of the workspace with what its place depends on. @throws NOT_FOUND */
export async function findStorage(tx: TenantTx, tenantId: string, storageId: string): Promise<PlacedStorage> {
  const [found] = await tx
    .select({ storage: storages, platform: PLATFORM_PART })
    .from(storages)
    .leftJoin(platformStorages, eq(platformStorages.id, storages.platformStorageId))
    .where(and(eq(storages.tenantId, tenantId), eq(storages.id, storageId)));
  if (!found) throw new XVaultError("NOT_FOUND", "There is no such storage.");
  return found;
}

/** A storage that copies may be put on. @throws NOT_FOUND, STORAGE_KEY_MISSING */
export async function findTarget(tx: TenantTx, tenantId: string, storageId: string): Promise<PlacedStorage> {
  const found = await findStorage(tx, tenantId, storageId);
  if (found.storage.state !== "active") throw new XVaultError("NOT_FOUND", "There is no such storage.");
  checkKey(found.storage, found.platform);
  return found;
}

/** The storages of the workspace, oldest first; `usable`: only those that it has what opens them. */
export async function activeStorages(
  tx: TenantTx,
  tenantId: string,
  which: "all" | "usable" = "usable",
): Promise<PlacedStorage[]> {
  const rows = await tx
    .select({ storage: storages, platform: PLATFORM_PART })
    .from(storages)
    .leftJoin(platformStorages, eq(platformStorages.id, storages.platformStorageId))
    .where(and(eq(storages.tenantId, tenantId), eq(storages.state, "active")))
    .orderBy(asc(storages.createdAt), asc(storages.name), asc(storages.id));
  return which === "all" ? rows : rows.filter(({ storage, platform }) => hasKey(storage, platform));
}

/**
 * Where a source writes to, the first one first. Where nothing was chosen, the workers' disks; of the audit log, a storage of the cold tier where
 * there is one.
 */
export async function placementOf(tx: TenantTx, tenantId: string, sourceId: string): Promise<PlacedStorage[]> {
  const chosen = await tx
    .select({ storage: storages, platform: PLATFORM_PART })
    .from(placements)
    .innerJoin(storages, and(eq(storages.tenantId, placements.tenantId), eq(storages.id, placements.storageId)))
    .leftJoin(platformStorages, eq(platformStorages.id, storages.platformStorageId))
    .where(and(eq(placements.tenantId, tenantId), eq(placements.sourceId, sourceId), eq(storages.state, "active")))
    .orderBy(asc(placements.position));
  if (chosen.length > 0) return chosen;
  const [source] = await tx
    .select({ kind: sources.kind })
    .from(sources)
    .where(and(eq(sources.tenantId, tenantId), eq(sources.id, sourceId)));
  const all = source?.kind === "audit" ? await activeStorages(tx, tenantId) : [];
  const cold = all.find(({ storage }) => storage.tier === "cold");
  if (cold) return [cold];
  const disks = await workerDisks(tx, tenantId);
  return [{ storage: disks, platform: null }];
}

/** Places a source on these storages in this order, in place of those before; on the workers' disks where none is named. @throws NOT_FOUND, STORAGE_KEY_MISSING */
export async function place(tx: TenantTx, tenantId: string, sourceId: string, ids: readonly string[]): Promise<void> {
  for (const id of ids) await findTarget(tx, tenantId, id);
  await tx.delete(placements).where(and(eq(placements.tenantId, tenantId), eq(placements.sourceId, sourceId)));
  for (const [position, storageId] of [...new Set(ids)].entries())
    await tx.insert(placements).values({ tenantId, sourceId, storageId, position });
}

/** The workspace's storage that is the workers' own disks. */
export async function workerDisks(tx: TenantTx, tenantId: string): Promise<StorageRow> {
  const rows = await tx
    .select()
    .from(storages)
    .where(and(eq(storages.tenantId, tenantId), eq(storages.kind, "local_fs"), isNull(storages.platformStorageId)))
    .orderBy(asc(storages.createdAt));
  const disks = rows.find((row) => row.config["folder"] === "");
  if (!disks) throw new XVaultError("INTERNAL", "The workspace has no storage for the workers' disks.");
  return disks;
}
