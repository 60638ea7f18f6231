import { isXVaultError, XVaultError } from "@xvault/kernel";
import type { S3Connection } from "./connection.ts";
import { pages, versions } from "./listing.ts";
import { lockedUntil } from "./retention.ts";

const LANES = 8;

/** Removes objects of a bucket for good: where it keeps versions, all of them. */
export interface Remover {
  /** The one object that is called so. */
  one(name: string): Promise<void>;
  /** Everything whose name begins so. */
  all(prefix: string): Promise<void>;
}

/** `keepsVersions` says whether deleting by name would only hide what is deleted. */
export function createRemover(connection: S3Connection, keepsVersions: () => Promise<boolean>): Remover {
  return {
    async one(name) {
      if (!(await keepsVersions())) return deleteOne(connection, { name });
      // The listing is by what names begin with: the exact name comes first.
      for await (const page of versions(connection, name)) {
        const own = page.filter((version) => version.name === name);
        for (const version of own) await deleteOne(connection, version);
        if (own.length < page.length) return;
      }
    },
    async all(prefix) {
      if (await keepsVersions()) {
        for await (const page of versions(connection, prefix)) await inLanes(page, (one) => deleteOne(connection, one));
      } else {
        for await (const { objects } of pages(connection, prefix))
          await inLanes(objects, (one) => deleteOne(connection, one));
      }
    },
  };
}

/** Singly: some servers refuse to delete several at once. One that is not there is no error. @throws OBJECT_LOCKED */
async function deleteOne(
  connection: S3Connection,
  { name, versionId }: { name: string; versionId?: string },
): Promise<void> {
  const place = { Bucket: connection.bucket, Key: name, ...(versionId === undefined ? {} : { VersionId: versionId }) };
  const key = connection.keyOf(name) ?? name;
  try {
    await connection.call("remove an object", key, (s3, http) => s3.deleteObject(place, http));
  } catch (error) {
    if (isXVaultError(error, "ARTIFACT_MISSING")) return;
    if (!isXVaultError(error, "STORAGE_DENIED") || versionId === undefined) throw error;
    const untilMs = await lockedUntil(connection, { name, versionId });
    if (untilMs === null || untilMs <= Date.now()) throw error;
    throw new XVaultError("OBJECT_LOCKED", `A stored object is locked until ${new Date(untilMs).toISOString()}.`, {
      data: { key, untilMs },
      cause: error,
    });
  }
}

async function inLanes<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const rest = items.values();
  const lane = async () => {
    for (const item of rest) await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(LANES, items.length) }, lane));
}
