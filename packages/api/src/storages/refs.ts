import {
  type StoragePlace,
  storagePlaceSchema,
  type StorageRef,
  type StorageSecret,
  storageSecretSchema,
} from "@xvault/contracts";
import {
  and,
  eq,
  PLATFORM_TENANT,
  platformStorages,
  type PlatformStorageRow,
  storages,
  type StorageRow,
  type TenantTx,
} from "@xvault/db";
import { type TenantId, XVaultError } from "@xvault/kernel";
import type { ServiceDeps } from "../deps.ts";

/** What a workspace's place on the operator's storage depends on; without what opens it, which the app role cannot read. */
export type PlatformPart = Pick<PlatformStorageRow, "id" | "config" | "ownKeys">;
export const PLATFORM_PART = {
  id: platformStorages.id,
  config: platformStorages.config,
  ownKeys: platformStorages.ownKeys,
};

/** Kind and place of a storage. One on the operator's has its place there: `{tenant_id}` in bucket or prefix stands for the workspace. */
export function placeOf(storage: StorageRow, platform: Pick<PlatformStorageRow, "config"> | null): StoragePlace {
  const place = storagePlaceSchema.parse({ kind: storage.kind, config: platform?.config ?? storage.config });
  if (place.kind !== "s3" || platform === null) return place;
  const own = (text: string) => text.replace("{tenant_id}", storage.tenantId);
  return { ...place, config: { ...place.config, bucket: own(place.config.bucket), prefix: own(place.config.prefix) } };
}

/** A storage as workers get to know it. */
export function storageRef(storage: StorageRow, platform: Pick<PlatformStorageRow, "config"> | null): StorageRef {
  return { id: storage.id, name: storage.name, place: placeOf(storage, platform) };
}

/** Where it is, in a line for people. */
export function locationOf(place: StoragePlace): string {
  switch (place.kind) {
    case "local_fs":
      return place.config.folder === "" ? "The workers' own disks" : `Folder '${place.config.folder}' of the workers`;
    case "s3": {
      const { endpoint, region, bucket, prefix } = place.config;
      const host = endpoint === null ? `AWS ${region}` : new URL(endpoint).host;
      return `${host}/${bucket}${prefix === "" ? "" : `/${prefix}`}`;
    }
    case "rclone":
      return `${place.config.remote_type}:${place.config.path}`;
  }
}

/** Where a tenant storage's secret lies. */
export function secretPlace(storageId: string) {
  return { table: "storages", row: storageId, column: "sealed" };
}

/** Binds the secret of the operator's storage to its row. */
export function platformSecretContext(id: string) {
  return { purpose: `platform-storage/${id}`, tenantId: PLATFORM_TENANT };
}

/** Refuses the operator's storage to a workspace that has no key of its own where each needs one. @throws STORAGE_KEY_MISSING */
export function checkKey(
  storage: Pick<StorageRow, "name" | "sealed">,
  platform: Pick<PlatformPart, "ownKeys"> | null,
): void {
  if (hasKey(storage, platform)) return;
  throw new XVaultError(
    "STORAGE_KEY_MISSING",
    `This workspace has no key of its own for the storage '${storage.name}'.`,
  );
}

/** False where a workspace must have a key of its own and has none. */
export function hasKey(storage: Pick<StorageRow, "sealed">, platform: Pick<PlatformPart, "ownKeys"> | null): boolean {
  return platform?.ownKeys !== true || storage.sealed !== null;
}

/**
 * What opens a storage; null where nothing is needed. On the operator's storage that is the workspace's own key where it has one, and the operator's
 * general one only where not each needs its own.
 *
 * @throws NOT_FOUND, STORAGE_KEY_MISSING, SECRET_UNREADABLE, TENANT_SHREDDED
 */
export async function openStorageSecret(
  deps: Pick<ServiceDeps, "db" | "vault" | "keyring">,
  tx: TenantTx,
  tenantId: TenantId,
  storageId: string,
): Promise<StorageSecret | null> {
  const [row] = await tx
    .select()
    .from(storages)
    .where(and(eq(storages.tenantId, tenantId), eq(storages.id, storageId)));
  if (!row) throw new XVaultError("NOT_FOUND", "There is no such storage.");
  if (row.sealed === null || row.keyVersion === null)
    return row.platformStorageId === null ? null : openPlatformSecret(deps, row, row.platformStorageId);
  const text = await deps.vault.open(tx, tenantId, secretPlace(row.id), row.sealed, row.keyVersion);
  return storageSecretSchema.parse(JSON.parse(text.toString("utf8")));
}

async function openPlatformSecret(
  { db, keyring }: Pick<ServiceDeps, "db" | "keyring">,
  storage: StorageRow,
  id: string,
): Promise<StorageSecret | null> {
  const [row] = await db.withSystem((tx) => tx.select().from(platformStorages).where(eq(platformStorages.id, id)));
  if (!row) throw new XVaultError("NOT_FOUND", "There is no such storage.");
  checkKey(storage, row);
  if (row.sealed === null) return null;
  const text = await keyring.unwrap(row.sealed, platformSecretContext(id));
  return storageSecretSchema.parse(JSON.parse(text.toString("utf8")));
}
