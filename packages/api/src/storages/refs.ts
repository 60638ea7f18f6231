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

/** Kind and place of a storage. One on the operator's has its place there: `{tenant_id}` in the bucket's name stands for the workspace. */
export function placeOf(storage: StorageRow, platform: Pick<PlatformStorageRow, "config"> | null): StoragePlace {
  const place = storagePlaceSchema.parse({ kind: storage.kind, config: platform?.config ?? storage.config });
  if (place.kind !== "s3" || platform === null) return place;
  const bucket = place.config.bucket.replace("{tenant_id}", storage.tenantId);
  return { ...place, config: { ...place.config, bucket } };
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

/** What opens a storage; null where nothing is needed. @throws NOT_FOUND, SECRET_UNREADABLE, TENANT_SHREDDED */
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
  if (row.platformStorageId !== null) return openPlatformSecret(deps, row.platformStorageId);
  if (row.sealed === null || row.keyVersion === null) return null;
  const text = await deps.vault.open(tx, tenantId, secretPlace(row.id), row.sealed, row.keyVersion);
  return storageSecretSchema.parse(JSON.parse(text.toString("utf8")));
}

async function openPlatformSecret(
  { db, keyring }: Pick<ServiceDeps, "db" | "keyring">,
  id: string,
): Promise<StorageSecret | null> {
  const [row] = await db.withSystem((tx) => tx.select().from(platformStorages).where(eq(platformStorages.id, id)));
  if (!row) throw new XVaultError("NOT_FOUND", "There is no such storage.");
  if (row.sealed === null) return null;
  const text = await keyring.unwrap(row.sealed, platformSecretContext(id));
  return storageSecretSchema.parse(JSON.parse(text.toString("utf8")));
}
