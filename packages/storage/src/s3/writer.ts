import { giveBack } from "@xvault/kernel";
import { ended, exists } from "../failures.ts";
import type { ObjectWriter } from "../object-store.ts";
import type { S3Connection } from "./connection.ts";
import { PartBuffer, partBytes, partsAtOnce } from "./parts.ts";
import { publishUpload, publishWhole } from "./publish.ts";
import { abortUpload } from "./uploads.ts";

const MiB = 1024 * 1024;
const PART_BYTES = 8 * MiB;

export interface S3WriterPlace {
  connection: S3Connection;
  key: string;
  /** Claims the key while it is being published; false when another writer of this process has it. */
  claim(): boolean;
  /** Called when an upload was begun: the sweep leaves it alone from then on. */
  begun(uploadId: string): void;
  /** Called once, when the writer has ended in whatever way. */
  release(): void;
}

/**
 * An object of less than a part is held in memory and sent by one request when it is committed. A larger one goes as a multipart upload, of which
 * at most two parts are under way while a third is gathered (one and one where they are large).
 */
export function createS3Writer(place: S3WriterPlace): ObjectWriter {
  const { connection, key } = place;
  const least = connection.options.partBytes ?? PART_BYTES;
  const ending = new AbortController();
  const parts: { PartNumber: number; ETag: string }[] = [];
  const underWay = new Set<Promise<void>>();
  const idle: PartBuffer[] = [];
  let number = 1;
  let gathering = new PartBuffer(least, false);
  let uploadId: string | null = null;
  let size = 0;
  let state: "open" | "closed" | "over" = "open";
  let failure: unknown;
  let committing: Promise<void> | null = null;

  const begin = async (): Promise<string> => {
    const { options, bucket } = connection;
    const { UploadId = "" } = await connection.call(
      "begin an upload",
      key,
      (s3, http) =>
        s3.createMultipartUpload(
          {
            Bucket: bucket,
            Key: connection.nameOf(key),
            ...(options.storageClass === null ? {} : { StorageClass: options.storageClass as "STANDARD" }),
          },
          http,
        ),
      ending.signal,
    );
    place.begun(UploadId);
    return UploadId;
  };
  const upload = async (UploadId: string, PartNumber: number, buffer: PartBuffer) => {
    const target = {
      Bucket: connection.bucket,
      Key: connection.nameOf(key),
      UploadId,
      PartNumber,
      Body: buffer.bytes(),
    };
    const { ETag = "" } = await connection.call(
      "write an object",
      key,
      (s3, http) => s3.uploadPart(target, http),
      ending.signal,
    );
    parts.push({ PartNumber, ETag });
    buffer.clear();
    idle.push(buffer);
  };
  /** Starts sending what is gathered, once there is room for one more on the way. */
  const sendGathered = async () => {
    uploadId ??= await begin();
    while (underWay.size >= partsAtOnce(partBytes(number, least))) await Promise.race(underWay);
    if (failure !== undefined) throw failure;
    const sending = upload(uploadId, number, gathering)
      .catch((error: unknown) => {
        failure ??= error; // reported by the next write, or by close
      })
      .finally(() => underWay.delete(sending));
    underWay.add(sending);
    number += 1;
    const wanted = partBytes(number, least);
    const again = idle.pop();
    gathering = again?.limit === wanted ? again : new PartBuffer(wanted, true);
  };
  const close = async () => {
    if (state === "open") {
      state = "closed";
      if (uploadId !== null) await sendGathered();
    }
    await Promise.all(underWay);
    if (failure !== undefined) throw failure;
  };
  const discard = async () => {
    ending.abort();
    await Promise.all(underWay);
    // What cannot be aborted now is found by the sweep.
    if (uploadId !== null) await abortUpload(connection, { name: connection.nameOf(key), uploadId }).catch(() => {});
    place.release();
  };
  const publish = async () => {
    await close();
    if (!place.claim()) throw exists(key);
    const signal = ending.signal;
    if (uploadId === null) await publishWhole({ connection, key, signal, sizeBytes: size }, gathering.bytes());
    else await publishUpload({ connection, key, signal, sizeBytes: size }, uploadId, parts);
  };
  const commit = async () => {
    try {
      await publish();
      state = "over";
      place.release();
    } catch (error) {
      state = "over";
      await discard();
      throw error;
    }
  };

  return {
    get sizeBytes() {
      return size;
    },
    async write(chunk) {
      if (state !== "open") throw ended(key);
      if (failure !== undefined) throw failure;
      size += chunk.length;
      for (let rest = chunk; rest.length > 0;) {
        if (gathering.full) await sendGathered();
        rest = gathering.take(rest);
      }
      giveBack(chunk);
    },
    close,
    async commit() {
      if (state === "over" || committing) throw ended(key);
      committing = commit();
      await committing;
    },
    async abort() {
      if (state === "over") return;
      if (committing) {
        ending.abort();
        await committing.catch(() => {});
        return;
      }
      state = "over";
      await discard();
    },
  };
}
