import { isXVaultError } from "@xvault/kernel";
import type { S3Connection } from "./connection.ts";
import type { LockMode } from "./options.ts";

/** An object, or one version of it. */
export interface LockPlace {
  name: string;
  versionId?: string | undefined;
}

const placeOf = (connection: S3Connection, { name, versionId }: LockPlace) => ({
  Bucket: connection.bucket,
  Key: name,
  ...(versionId === undefined ? {} : { VersionId: versionId }),
});
const keyOf = (connection: S3Connection, { name }: LockPlace) => connection.keyOf(name) ?? name;

/** Until when an object is locked, or null where it is not, or the server does not tell. @throws STORAGE_FAILED when there was no answer */
export async function lockedUntil(connection: S3Connection, place: LockPlace): Promise<number | null> {
  try {
    const found = await connection.call("look for a lock", keyOf(connection, place), (s3, http) =>
      s3.getObjectRetention(placeOf(connection, place), http),
    );
    return found.Retention?.RetainUntilDate?.getTime() ?? null;
  } catch (error) {
    // A server without locks, an object without one, a credential that may not ask: each is refused in its own way.
    if (isXVaultError(error) && !error.retry && error.code !== "CANCELLED") return null;
    throw error;
  }
}

/** Locks an object, or extends its lock. Seconds count: a part of one is rounded up. */
export async function lockObject(
  connection: S3Connection,
  place: LockPlace,
  mode: LockMode,
  untilMs: number,
): Promise<void> {
  const RetainUntilDate = new Date(Math.ceil(untilMs / 1000) * 1000);
  await connection.call("lock an object", keyOf(connection, place), (s3, http) =>
    s3.putObjectRetention({ ...placeOf(connection, place), Retention: { Mode: mode, RetainUntilDate } }, http),
  );
}
