import type { S3 } from "@aws-sdk/client-s3";
import { isXVaultError, XVaultError } from "@xvault/kernel";
import { exists } from "../failures.ts";
import type { S3Connection } from "./connection.ts";
import { attemptsOf, notImplemented, statusOf } from "./failures.ts";
import { readWhole } from "./read.ts";
import { lockObject } from "./retention.ts";

export interface Publication {
  connection: S3Connection;
  key: string;
  signal: AbortSignal;
  sizeBytes: number;
}

/** Sends a small object by one request. @throws OBJECT_EXISTS */
export async function publishWhole(publication: Publication, bytes: Buffer): Promise<void> {
  const { connection, key } = publication;
  const { storageClass } = connection.options;
  const object = {
    Bucket: connection.bucket,
    Key: connection.nameOf(key),
    Body: bytes,
    ...(storageClass === null ? {} : { StorageClass: storageClass as "STANDARD" }),
  };
  const isOurs = async () => (await readWhole(connection, key, bytes.length)).equals(bytes);
  await publish(publication, "write an object", isOurs, (s3, condition, http) =>
    s3.putObject({ ...object, ...condition }, http),
  );
}

/** Completes an upload. @throws OBJECT_EXISTS */
export async function publishUpload(
  publication: Publication,
  uploadId: string,
  parts: readonly { PartNumber: number; ETag: string }[],
): Promise<void> {
  const { connection, key, sizeBytes } = publication;
  const upload = {
    Bucket: connection.bucket,
    Key: connection.nameOf(key),
    UploadId: uploadId,
    MultipartUpload: { Parts: parts.toSorted((one, other) => one.PartNumber - other.PartNumber) },
  };
  const isOurs = async () => (await connection.head(key))?.sizeBytes === sizeBytes;
  await publish(publication, "complete an upload", isOurs, (s3, condition, http) =>
    s3.completeMultipartUpload({ ...upload, ...condition }, http),
  );
}

interface Published {
  VersionId?: string | undefined;
}
type Http = { abortSignal?: AbortSignal };

/**
 * Publishes where nothing has the name. The server is asked to do it only then; one without such requests refuses them, or ignores the condition (Garage
 * always, Ceph for uploads). There another process could come between the look and the request, were keys not made anew for every attempt. At last it
 * sees to it that the object is whole and locked.
 */
async function publish(
  publication: Publication,
  operation: string,
  isOurs: () => Promise<boolean>,
  send: (s3: S3, condition: { IfNoneMatch?: "*" }, http: Http) => Promise<Published>,
): Promise<void> {
  const { connection, key, signal } = publication;
  if (await connection.head(key)) throw exists(key);
  const attempt = async (s3: S3, http: Http): Promise<Published> => {
    try {
      return await send(s3, { IfNoneMatch: "*" }, http);
    } catch (error) {
      if (notImplemented(error)) return send(s3, {}, http);
      // The first try was carried out and its answer was lost: the second met what it had written, or no upload any more.
      const again = (statusOf(error) === 412 && attemptsOf(error) > 1) || statusOf(error) === 404;
      if (again && (await isOurs())) return {};
      throw error;
    }
  };
  await settled(publication, isOurs, () => connection.call(operation, key, attempt, signal));
}

/** Where no answer came at all, the storage is asked what has become of the object. */
async function settled(
  publication: Publication,
  isOurs: () => Promise<boolean>,
  attempt: () => Promise<Published>,
): Promise<void> {
  let versionId: string | undefined;
  try {
    versionId = (await attempt()).VersionId;
  } catch (error) {
    if (isXVaultError(error, "ARTIFACT_MISSING")) throw lostUpload(publication, error);
    const unclear = isXVaultError(error, "CANCELLED") || (isXVaultError(error, "STORAGE_FAILED") && error.retry);
    if (!unclear || !(await isOurs().catch(() => false))) throw error;
    if (publication.signal.aborted) {
      await withdraw(publication, undefined);
      throw error;
    }
  }
  await secure(publication, versionId);
}

/** Whoever is told that it failed must not find it published. */
async function secure(publication: Publication, versionId: string | undefined): Promise<void> {
  const { connection, key, sizeBytes } = publication;
  const name = connection.nameOf(key);
  try {
    const found = await connection.head(key);
    if (found?.sizeBytes !== sizeBytes) {
      throw new XVaultError(
        "STORAGE_FAILED",
        "The storage has another size of an object than what was written to it.",
        {
          data: { key, written: sizeBytes, found: found?.sizeBytes ?? null },
        },
      );
    }
    const { lock } = connection.options;
    if (lock) await lockObject(connection, { name, versionId }, lock.mode, lock.untilMs);
  } catch (error) {
    await withdraw(publication, versionId);
    throw error;
  }
}

async function withdraw({ connection, key }: Publication, versionId: string | undefined): Promise<void> {
  const place = {
    Bucket: connection.bucket,
    Key: connection.nameOf(key),
    ...(versionId === undefined ? {} : { VersionId: versionId }),
  };
  await connection.call("remove an object", key, (s3, http) => s3.deleteObject(place, http), null).catch(() => {});
}

function lostUpload({ key }: Publication, cause: unknown): XVaultError {
  return new XVaultError("STORAGE_FAILED", "The upload of an object was aborted by somebody else.", {
    data: { key },
    retry: true,
    cause,
  });
}
