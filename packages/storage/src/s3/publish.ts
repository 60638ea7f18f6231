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

/** Sends a small object by one request that the server carries out only where nothing has the name. @throws OBJECT_EXISTS */
export async function publishWhole(publication: Publication, bytes: Buffer): Promise<void> {
  const { connection, key, signal } = publication;
  const { storageClass } = connection.options;
  const object = {
    Bucket: connection.bucket,
    Key: connection.nameOf(key),
    Body: bytes,
    ...(storageClass === null ? {} : { StorageClass: storageClass as "STANDARD" }),
  };
  const isOurs = async () => (await readWhole(connection, key, bytes.length)).equals(bytes);
  await settled(publication, isOurs, () =>
    connection.call(
      "write an object",
      key,
      async (s3, http) => {
        try {
          return await s3.putObject({ ...object, IfNoneMatch: "*" }, http);
        } catch (error) {
          // Tried twice, the second try may have met what the first one had written.
          if (statusOf(error) === 412 && attemptsOf(error) > 1 && (await isOurs())) return {};
          if (!notImplemented(error)) throw error;
        }
        // A server without conditional requests: two processes could race here, were keys not made anew for every attempt.
        if (await connection.head(key)) throw exists(key);
        return s3.putObject(object, http);
      },
      signal,
    ),
  );
}

/**
 * Completes an upload. No server is asked to do so only where nothing has the name (Ceph ignores that): between the look and the completion another
 * process could write the key, were keys not made anew for every attempt. @throws OBJECT_EXISTS
 */
export async function publishUpload(
  publication: Publication,
  uploadId: string,
  parts: readonly { PartNumber: number; ETag: string }[],
): Promise<void> {
  const { connection, key, signal, sizeBytes } = publication;
  if (await connection.head(key)) throw exists(key);
  const Parts = parts.toSorted((one, other) => one.PartNumber - other.PartNumber);
  const place = { Bucket: connection.bucket, Key: connection.nameOf(key), UploadId: uploadId };
  const isOurs = async () => (await connection.head(key))?.sizeBytes === sizeBytes;
  await settled(publication, isOurs, () =>
    connection.call(
      "complete an upload",
      key,
      async (s3, http) => {
        try {
          return await s3.completeMultipartUpload({ ...place, MultipartUpload: { Parts } }, http);
        } catch (error) {
          // The upload is gone: its completion was carried out, and only the answer was lost.
          if (statusOf(error) === 404 && (await isOurs())) return {};
          throw error;
        }
      },
      signal,
    ),
  );
}

/** Publishes, then sees to it that the object is whole and locked. Where no answer came, the storage is asked what has become of it. */
async function settled(
  publication: Publication,
  isOurs: () => Promise<boolean>,
  publish: () => Promise<{ VersionId?: string | undefined }>,
): Promise<void> {
  let versionId: string | undefined;
  try {
    versionId = (await publish()).VersionId;
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
  await connection.call("remove an object", key, (s3, http) => s3.deleteObject(place, http)).catch(() => {});
}

function lostUpload({ key }: Publication, cause: unknown): XVaultError {
  return new XVaultError("STORAGE_FAILED", "The upload of an object was aborted by somebody else.", {
    data: { key },
    retry: true,
    cause,
  });
}
