import type { RcloneConfig, S3Config, StorageRef, StorageSecret } from "@xvault/contracts";
import { XVaultError } from "@xvault/kernel";
import { resolveAllowed } from "@xvault/source";
import {
  checkedLookup,
  type ObjectStore,
  openLocalStore,
  openRcloneStore,
  openS3Store,
  rcloneEndpoints,
  retrying,
  type S3Store,
} from "@xvault/storage";
import { join } from "node:path";
import type { WorkerContext } from "./context.ts";
import type { HeldJob } from "./jobs/run-job.ts";

/** Where folders of a worker's disk lie that are storages of their own: an operator may mount another disk or a share there. */
const FOLDERS = "tiers";
const DAY = 24 * 60 * 60_000;

/** A storage that is open. */
export interface OpenStore {
  ref: StorageRef;
  /** What fails in passing is tried again. */
  store: ObjectStore;
  /** Until when objects are locked that are written now; null: not at all. */
  lockedUntil: Date | null;
  /** The bucket itself, where locks can be made longer and proven. */
  bucket: S3Store | null;
  close(): void;
}

/**
 * Opens a storage. What opens it is used here and kept nowhere. Tenants name endpoints: they are reached by the address policy, as sources are.
 *
 * @throws STORAGE_DENIED where it needs a secret and has none; TARGET_FORBIDDEN; INPUT_INVALID for a place that cannot be one
 */
export async function openStore(
  context: Pick<WorkerContext, "store" | "config" | "policy">,
  ref: StorageRef,
  secret: StorageSecret | null,
): Promise<OpenStore> {
  const { place } = ref;
  const plain = { ref, lockedUntil: null, bucket: null, close: () => {} };
  switch (place.kind) {
    case "local_fs":
      return { ...plain, store: await openFolder(context, place.config.folder) };
    case "s3":
      return openBucket(context, ref, place.config, secret);
    case "rclone":
      return openRemote(context, ref, place.config, secret);
  }
}

async function openFolder(
  { store, config }: Pick<WorkerContext, "store" | "config">,
  folder: string,
): Promise<ObjectStore> {
  return folder === "" ? store : openLocalStore({ root: join(config.storagePath, FOLDERS, folder) });
}

async function openBucket(
  { policy }: Pick<WorkerContext, "policy">,
  ref: StorageRef,
  config: S3Config,
  secret: StorageSecret | null,
): Promise<OpenStore> {
  if (secret?.kind !== "s3") throw new XVaultError("STORAGE_DENIED", `The storage '${ref.name}' has no access key.`);
  const { lock } = config;
  const lockedUntil = lock === null ? null : new Date(Date.now() + lock.days * DAY);
  const bucket = await openS3Store({
    endpoint: config.endpoint,
    region: config.region,
    bucket: config.bucket,
    prefix: config.prefix,
    pathStyle: config.path_style,
    storageClass: config.storage_class,
    caPem: config.ca_pem,
    accessKeyId: secret.access_key_id,
    secretAccessKey: secret.secret_access_key,
    lock: lock === null || lockedUntil === null ? null : { mode: lock.mode, untilMs: lockedUntil.getTime() },
    lookup: checkedLookup(policy),
  });
  return { ref, store: retrying(bucket), lockedUntil, bucket, close: () => bucket.close() };
}

/** rclone resolves names by itself: what can be judged beforehand, its endpoints, is. */
async function openRemote(
  { policy }: Pick<WorkerContext, "policy">,
  ref: StorageRef,
  config: RcloneConfig,
  secret: StorageSecret | null,
): Promise<OpenStore> {
  const remote = {
    remoteType: config.remote_type,
    parameters: config.parameters,
    secretParameters: secret?.kind === "rclone" ? secret.parameters : {},
    path: config.path,
  };
  for (const host of rcloneEndpoints(remote)) await resolveAllowed(host, policy);
  const store = await openRcloneStore(remote);
  return { ref, store: retrying(store), lockedUntil: null, bucket: null, close: () => void store.close() };
}

/** Opens a storage that a job's payload names, with the secret that the hub hands to the holder of its lease. It is open as long as the job. */
export async function openStoreOfJob(
  context: WorkerContext,
  { held, signal, onEnd }: Pick<HeldJob, "held" | "signal" | "onEnd">,
  ref: StorageRef,
): Promise<OpenStore> {
  if (ref.place.kind === "local_fs") return openStore(context, ref, null);
  const { secret } = await context.hub.insist("storage_secret", { ...held, storage_id: ref.id }, signal);
  const opened = await openStore(context, ref, secret);
  onEnd(() => opened.close());
  return opened;
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
