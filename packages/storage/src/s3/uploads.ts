import { isXVaultError } from "@xvault/kernel";
import type { S3Connection } from "./connection.ts";
import { notImplemented, statusOf } from "./failures.ts";

/** A multipart upload that was begun and neither completed nor aborted. */
export interface OpenUpload {
  name: string;
  uploadId: string;
  begunMs: number;
}

/**
 * Every open upload whose name begins so. None where the server cannot list them, or does not let this credential: Ceph allows it for whole buckets
 * only. There the bucket needs a rule that ends uploads which were begun long ago.
 */
export async function* openUploads(connection: S3Connection, prefix: string): AsyncGenerator<OpenUpload> {
  let marker: { KeyMarker?: string; UploadIdMarker?: string } = {};
  for (;;) {
    const page = await connection.call("list uploads", "", async (s3, http) => {
      const query = { Bucket: connection.bucket, Prefix: prefix, ...marker };
      try {
        return await s3.listMultipartUploads(query, http);
      } catch (error) {
        if (notImplemented(error) || statusOf(error) === 403) return { Uploads: [] };
        throw error;
      }
    });
    for (const { Key, UploadId, Initiated } of page.Uploads ?? []) {
      if (Key !== undefined && UploadId !== undefined)
        yield { name: Key, uploadId: UploadId, begunMs: Initiated?.getTime() ?? 0 };
    }
    if (!("IsTruncated" in page) || page.IsTruncated !== true || !page.NextKeyMarker) return;
    marker = {
      KeyMarker: page.NextKeyMarker,
      ...(page.NextUploadIdMarker ? { UploadIdMarker: page.NextUploadIdMarker } : {}),
    };
  }
}

/** Drops an upload and its parts, whatever was cancelled. One that is gone is no error. */
export async function abortUpload(
  connection: S3Connection,
  { name, uploadId }: Omit<OpenUpload, "begunMs">,
): Promise<void> {
  try {
    const upload = { Bucket: connection.bucket, Key: name, UploadId: uploadId };
    await connection.call("abort an upload", "", (s3, http) => s3.abortMultipartUpload(upload, http), null);
  } catch (error) {
    if (!isXVaultError(error, "ARTIFACT_MISSING")) throw error;
  }
}

/** When an upload got its last part, or was begun. */
export async function touchedMs(connection: S3Connection, upload: OpenUpload): Promise<number> {
  let last = upload.begunMs;
  let marker: string | undefined;
  do {
    const page = await connection.call("list the parts of an upload", "", (s3, http) =>
      s3.listParts(
        {
          Bucket: connection.bucket,
          Key: upload.name,
          UploadId: upload.uploadId,
          ...(marker ? { PartNumberMarker: marker } : {}),
        },
        http,
      ),
    );
    for (const { LastModified } of page.Parts ?? []) last = Math.max(last, LastModified?.getTime() ?? 0);
    marker = page.IsTruncated === true ? page.NextPartNumberMarker : undefined;
  } while (marker);
  return last;
}
