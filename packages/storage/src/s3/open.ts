import { isXVaultError } from "@xvault/kernel";
import { checkRange, exists, missing } from "../failures.ts";
import { connect, type S3Connection } from "./connection.ts";
import { pages } from "./listing.ts";
import type { S3Store, S3StoreOptions } from "./options.ts";
import { proveLock } from "./prove-lock.ts";
import { readRange, readWhole } from "./read.ts";
import { createRemover } from "./remove.ts";
import { lockedUntil, lockObject } from "./retention.ts";
import { abortUpload, openUploads, touchedMs } from "./uploads.ts";
import { createS3Writer } from "./writer.ts";

/**
 * Opens a bucket as a store. Sends nothing yet: a wrong secret or a missing bucket shows at the first call, and `probeStore` names it.
 * Beyond the duties of every driver: `STORAGE_DENIED` when the server refuses the credential, `OBJECT_LOCKED` when a lock keeps what is to be removed.
 *
 * @throws INPUT_INVALID naming the field; TARGET_FORBIDDEN, of `lookup`, for an endpoint that is an address
 */
export async function openS3Store(options: S3StoreOptions): Promise<S3Store> {
  const connection = await connect(options);
  /** Keys that writers of this process are publishing right now. */
  const publishing = new Set<string>();
  /** Writers at work, by what they write: a small object shows nowhere else. */
  const writing = new Set<{ key: string }>();
  /** Uploads of this process's writers: the sweep leaves them, however slow their source is. */
  const living = new Set<string>();
  const remover = createRemover(
    connection,
    once(() => isVersioned(connection, true)),
  );

  const sizeOf = async (key: string): Promise<number> => {
    const found = await connection.head(key);
    if (!found) throw missing(key);
    return found.sizeBytes;
  };

  return {
    async create(key) {
      if (await connection.head(key)) throw exists(key);
      const writer = { key };
      writing.add(writer);
      let claimed = false;
      let upload: string | null = null;
      return createS3Writer({
        connection,
        key,
        claim() {
          if (publishing.has(key)) return false;
          publishing.add(key);
          claimed = true;
          return true;
        },
        begun(uploadId) {
          upload = uploadId;
          living.add(uploadId);
        },
        release() {
          writing.delete(writer);
          if (upload !== null) living.delete(upload);
          if (claimed) publishing.delete(key);
          claimed = false;
        },
      });
    },
    stat: (key) => connection.head(key),
    async reader(key) {
      const size = await sizeOf(key);
      return {
        size,
        async read(offset, length) {
          checkRange(key, size, offset, length);
          return length === 0 ? Buffer.alloc(0) : readRange(connection, key, offset, length);
        },
      };
    },
    readAll: (key, limitBytes) => readWhole(connection, key, limitBytes),
    async *list(prefix) {
      for await (const { objects } of pages(connection, connection.below(prefix))) {
        for (const { name, sizeBytes } of objects) {
          const key = connection.keyOf(name);
          if (key !== null) yield { key, sizeBytes };
        }
      }
    },
    async *folders(prefix) {
      const below = connection.below(prefix);
      const found = new Set<string>();
      const folderOf = (name: string) =>
        name.startsWith(below) ? /^([^/]+)\//.exec(name.slice(below.length))?.[1] : undefined;
      const add = (name: string | undefined) => {
        if (name !== undefined && connection.keyOf(below + name) !== null) found.add(name);
      };
      for (const { key } of writing) add(folderOf(connection.nameOf(key)));
      for await (const { name } of openUploads(connection, below)) add(folderOf(name));
      for await (const { folders } of pages(connection, below, true)) folders.forEach(add);
      yield* found;
    },
    remove: async (key) => remover.one(connection.nameOf(key)),
    async removeTree(prefix) {
      connection.nameOf(prefix); // at least one segment
      const below = connection.below(prefix);
      for await (const upload of openUploads(connection, below)) await abortUpload(connection, upload);
      await remover.all(below);
    },
    freeBytes: async () => Number.POSITIVE_INFINITY,
    async sweepTemporary(olderThanMs, prefix = "") {
      const before = Date.now() - olderThanMs;
      let removed = 0;
      for await (const upload of openUploads(connection, connection.below(prefix))) {
        if (living.has(upload.uploadId) || upload.begunMs > before) continue;
        if ((await touchedMs(connection, upload)) > before) continue;
        await abortUpload(connection, upload);
        removed += 1;
      }
      return removed;
    },
    async lockUntil(key, untilMs) {
      const place = { name: connection.nameOf(key) };
      if (((await lockedUntil(connection, place)) ?? 0) >= untilMs) return;
      await lockObject(connection, place, options.lock?.mode ?? "GOVERNANCE", untilMs);
    },
    proveLock: (mode = options.lock?.mode ?? "GOVERNANCE") => proveLock(connection, mode),
    versioned: () => isVersioned(connection, false),
    close: () => connection.close(),
  };
}

/** Whether the bucket keeps what is deleted; with `everDid`, one that has stopped to and has older versions still counts. */
async function isVersioned(connection: S3Connection, everDid: boolean): Promise<boolean> {
  try {
    const { Status } = await connection.call("look for versions", "", (s3, http) =>
      s3.getBucketVersioning({ Bucket: connection.bucket }, http),
    );
    return Status === "Enabled" || (everDid && Status === "Suspended");
  } catch (error) {
    // A server without versions, or a credential that may not ask. The bucket itself is looked for by what comes next.
    if (isXVaultError(error) && !error.retry && error.code !== "CANCELLED") return false;
    throw error;
  }
}

/** Asks once; again only after a failure. */
function once<T>(ask: () => Promise<T>): () => Promise<T> {
  let answer: Promise<T> | null = null;
  return () => {
    answer ??= ask().catch((error: unknown) => {
      answer = null;
      throw error;
    });
    return answer;
  };
}
