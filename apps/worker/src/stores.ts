import type { StorageRef, StorageSecret } from "@xvault/contracts";
import { XVaultError } from "@xvault/kernel";
import { type ObjectStore, openLocalStore } from "@xvault/storage";
import { join } from "node:path";
import type { WorkerContext } from "./context.ts";

/** Where folders of a worker's disk lie that are storages of their own: an operator may mount another disk or a share there. */
const FOLDERS = "tiers";

/**
 * Opens a storage. What opens it is used here and kept nowhere.
 *
 * @throws STORAGE_FAILED, and what the storage's own refusals are
 */
export async function openStore(
  { store, config }: Pick<WorkerContext, "store" | "config">,
  { place, name }: StorageRef,
  secret: StorageSecret | null,
): Promise<ObjectStore> {
  switch (place.kind) {
    case "local_fs":
      if (place.config.folder === "") return store;
      return openLocalStore({ root: join(config.storagePath, FOLDERS, place.config.folder) });
    case "s3":
    case "rclone":
      throw new XVaultError(
        "STORAGE_FAILED",
        `This worker cannot open the storage '${name}'${secret ? "" : " without a secret"}.`,
      );
  }
}

/** Opens a storage that a job's payload names, with the secret that the hub hands to the holder of its lease. */
export async function openStoreOfJob(
  context: WorkerContext,
  held: { job_id: string; attempt: number },
  ref: StorageRef,
  signal: AbortSignal,
): Promise<ObjectStore> {
  if (ref.place.kind === "local_fs") return openStore(context, ref, null);
  const { secret } = await context.hub.insist("storage_secret", { ...held, storage_id: ref.id }, signal);
  return openStore(context, ref, secret);
}

/** Where a snapshot's objects lie on a storage, in words for people. */
export function locationOn({ config }: Pick<WorkerContext, "config">, { place }: StorageRef, dir: string): string {
  switch (place.kind) {
    case "local_fs":
      return join(config.storagePath, place.config.folder === "" ? "" : join(FOLDERS, place.config.folder), dir);
    case "s3": {
      const { bucket, prefix } = place.config;
      return `s3://${[bucket, prefix, dir].filter((part) => part !== "").join("/")}`;
    }
    case "rclone":
      return `${place.config.remote_type}:${[place.config.path, dir].filter((part) => part !== "").join("/")}`;
  }
}
