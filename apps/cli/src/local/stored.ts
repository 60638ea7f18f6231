import { rcloneConfigSchema, storageSecretSchema } from "@xvault/contracts";
import { findSnapshots, findStoredSnapshots, type FoundSnapshots } from "@xvault/engine";
import { XVaultError } from "@xvault/kernel";
import { type ObjectStore, openRcloneStore, openS3Store, readOnly, retrying } from "@xvault/storage";
import type { z } from "zod";
import { askSecret, askText } from "../ask.ts";
import { UsageError } from "../exit-codes.ts";
import type { World } from "../world.ts";
import { readSecretFile } from "./identity.ts";

/** What lies at a place, open until `close`. */
export interface Stored {
  found: FoundSnapshots;
  /** What the place is called, before the keys of what lies there; null for a directory of this machine. */
  address: string | null;
  close(): Promise<void>;
}

/** How a bucket's server is asked, as `xvault storage add-s3` takes it. */
export interface BucketArgs {
  endpoint: string | undefined;
  region: string | undefined;
  virtualHost: boolean | undefined;
  caFile: string | undefined;
}

const BUCKET = "s3://";
const REMOTE = "rclone:";

/**
 * Finds the snapshots at a place: a directory, `s3://BUCKET[/PREFIX]`, or `rclone:FILE` with a file that describes the remote. What opens a
 * bucket comes from the environment or is asked for; nothing is ever written there.
 *
 * @throws UsageError for a place that is none, or a key that nobody gave; NOT_FOUND, STORAGE_DENIED, STORAGE_FAILED
 */
export async function openStored(world: World, from: string, args: BucketArgs, signal: AbortSignal): Promise<Stored> {
  if (from.startsWith(BUCKET)) return openBucket(world, from, args, signal);
  if (Object.values(args).some((value) => value !== undefined)) {
    throw new UsageError("--endpoint, --region, --virtual-host and --ca-file go with '--from s3://BUCKET'.");
  }
  if (from.startsWith(REMOTE)) return openRemote(from.slice(REMOTE.length), signal);
  return { found: await findSnapshots(from), address: null, close: async () => {} };
}

async function openBucket(world: World, from: string, args: BucketArgs, signal: AbortSignal): Promise<Stored> {
  const [, bucket, below = ""] = /^([^/]+)\/?(.*?)\/*$/.exec(from.slice(BUCKET.length)) ?? [];
  if (bucket === undefined) throw new UsageError("--from names no bucket: s3://BUCKET or s3://BUCKET/PREFIX.");
  const { id, secret, sessionToken } = world.environment.bucketKey;
  const unasked = new UsageError(
    "There is no key for the bucket: set XVAULT_S3_ACCESS_KEY_ID and XVAULT_S3_SECRET_ACCESS_KEY, or their _FILE twins.",
  );
  const store = await openS3Store({
    endpoint: args.endpoint ?? null,
    region: args.region ?? "us-east-1",
    bucket,
    // Earlier snapshots may lie beside what is named, so the whole bucket is the store; only what is below the prefix is listed.
    prefix: "",
    pathStyle: !(args.virtualHost ?? args.endpoint === undefined),
    storageClass: null,
    caPem: args.caFile === undefined ? null : await readSecretFile(args.caFile, "certificate"),
    accessKeyId: id ?? (await askText({ world, unasked }, `The id of the key for ${bucket}`)),
    secretAccessKey: secret ?? (await askSecret({ world, unasked }, "Its secret")),
    sessionToken,
    lock: null,
    signal,
  });
  return listed(store, `${BUCKET}${bucket}`, below, signal, async () => store.close());
}

/** A remote as a storage's configuration names it, with its secrets beside it. */
const remoteSchema = rcloneConfigSchema.extend({
  secret_parameters: storageSecretSchema.options[1].shape.parameters.default({}),
});

async function openRemote(file: string, signal: AbortSignal): Promise<Stored> {
  const remote = parseRemote(await readSecretFile(file, "description of the remote"), file);
  const store = await openRcloneStore({
    remoteType: remote.remote_type,
    parameters: remote.parameters,
    secretParameters: remote.secret_parameters,
    path: remote.path,
    signal,
  });
  const address = [`${remote.remote_type}:`, remote.path].join("");
  return listed(store, address, "", signal, () => store.close());
}

function parseRemote(text: string, file: string): z.output<typeof remoteSchema> {
  try {
    return remoteSchema.parse(JSON.parse(text));
  } catch {
    // Never with what stands in it.
    throw new XVaultError("INPUT_INVALID", `${file} does not describe a remote.`, {
      fix: 'It holds JSON: {"remote_type": "webdav", "path": "…", "parameters": {…}, "secret_parameters": {…}}, see docs/storage.md.',
    });
  }
}

async function listed(
  store: ObjectStore,
  address: string,
  below: string,
  signal: AbortSignal,
  close: () => Promise<void>,
): Promise<Stored> {
  try {
    return { found: await findStoredSnapshots(readOnly(retrying(store, { signal })), address, below), address, close };
  } catch (error) {
    await close();
    throw error;
  }
}
