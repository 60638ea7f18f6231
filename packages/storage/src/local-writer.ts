import { dirname } from "node:path";
import { giveBack } from "@xvault/kernel";
import { ended, exists, storageError } from "./failures.ts";
import type { FileOps, WritableFile } from "./file-ops.ts";
import type { ObjectWriter } from "./object-store.ts";

/** One system call per mebibyte: small chunks cost more in calls than in bytes. */
const FLUSH_BYTES = 1024 * 1024;
/** Linux takes at most 1024 parts in one call. */
const FLUSH_PARTS = 1000;
/** After so many bytes the disk is asked to have them. Else the kernel holds gigabytes back, and the run waits for them at its end. */
const SYNC_BYTES = 32 * 1024 * 1024;

export interface LocalWriterPlace {
  key: string;
  files: FileOps;
  file: WritableFile;
  temporary: string;
  final: string;
  /** Claims the key while it is being published; false when another writer of this process has it. */
  claim(): boolean;
  /** Called once, when the writer has ended in whatever way. */
  release(): void;
}

/** Writes a temporary file beside its final place; publishing is fsync, rename, fsync of the directory, in that order. */
export function createLocalWriter(place: LocalWriterPlace): ObjectWriter {
  const { key, files, file, temporary, final } = place;
  let parts: Buffer[] = [];
  let held = 0;
  let size = 0;
  let state: "open" | "closed" | "over" = "open";
  let flushing: Promise<void> = Promise.resolve();
  let unsynced = 0;
  /** The sync that is under way beside the writing. */
  let syncing: Promise<void> | null = null;
  /** A disk tells of bytes that it lost once, and maybe not again when it is asked at the end. */
  let lost: { error: unknown } | null = null;
  let fileOpen = true;

  const syncBeside = (written: number) => {
    unsynced += written;
    if (unsynced < SYNC_BYTES || syncing) return;
    unsynced = 0;
    syncing = file
      .sync()
      .catch((error: unknown) => {
        lost ??= { error };
      })
      .finally(() => {
        syncing = null;
      });
  };

  /** Starts writing what is held once the write before is done: one write is under way while the next is gathered. */
  const flush = async () => {
    if (lost) throw lost.error;
    const batch = parts;
    const bytes = held;
    const before = flushing;
    parts = [];
    held = 0;
    flushing = before.then(async () => {
      await file.append(batch);
      batch.forEach(giveBack);
      syncBeside(bytes);
    });
    flushing.catch(() => {}); // reported when it is awaited, by the next flush or by close
    await before;
  };
  const closeFile = async () => {
    if (!fileOpen) return;
    fileOpen = false;
    await file.close();
  };
  const close = async () => {
    if (state === "open") {
      state = "closed";
      if (held > 0) await flush();
    }
    await flushing;
  };
  const discard = async () => {
    await flushing.catch(() => {});
    await syncing;
    await closeFile().catch(() => {});
    // What cannot be removed now is found by the sweep.
    await files.removeFile(temporary).catch(() => {});
    place.release();
  };
  const publish = async () => {
    await close();
    await syncing;
    if (lost) throw lost.error;
    await file.sync();
    await closeFile();
    if (!place.claim() || (await files.stat(final)) !== null) throw exists(key);
    await files.rename(temporary, final);
    try {
      await files.syncDirectory(dirname(final));
    } catch (error) {
      // Whoever is told that it failed must not find it published.
      await files.removeFile(final).catch(() => {});
      throw error;
    }
  };

  return {
    get sizeBytes() {
      return size;
    },
    async write(chunk) {
      if (state !== "open") throw ended(key);
      if (chunk.length === 0) return;
      parts.push(chunk);
      held += chunk.length;
      size += chunk.length;
      if (held < FLUSH_BYTES && parts.length < FLUSH_PARTS) return;
      try {
        await flush();
      } catch (error) {
        throw storageError(error, "write an object", key);
      }
    },
    async close() {
      try {
        await close();
      } catch (error) {
        throw storageError(error, "write an object", key);
      }
    },
    async commit() {
      if (state === "over") throw ended(key);
      try {
        await publish();
        state = "over";
        place.release();
      } catch (error) {
        state = "over";
        await discard();
        throw storageError(error, "publish an object", key);
      }
    },
    async abort() {
      if (state === "over") return;
      state = "over";
      await discard();
    },
  };
}
