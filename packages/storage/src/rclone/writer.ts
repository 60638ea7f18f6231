import type { XVaultError } from "@xvault/kernel";
import { ended, exists } from "../failures.ts";
import type { ObjectWriter } from "../object-store.ts";
import type { Upload } from "./calls.ts";

/** How long an aborted upload may take to end by itself, so that what it leaves can be removed at once. */
const ENDING_MS = 15_000;
const GATHER_BYTES = 256 * 1024;

export interface RcloneWriterPlace {
  key: string;
  upload: Upload;
  /** Size of the temporary file, null when there is none. */
  temporarySize(): Promise<number | null>;
  finalSize(): Promise<number | null>;
  /** Renames the temporary file to its key. */
  rename(): Promise<void>;
  removeTemporary(): Promise<void>;
  removeFinal(): Promise<void>;
  /** Claims the key while it is being published; false when another writer of this process has it. */
  claim(): boolean;
  /** Called once, when the writer has ended in whatever way. */
  release(): void;
  /** Any failure, in our words. */
  inWords(error: unknown, operation: string): XVaultError;
}

/** Uploads to a temporary name beside the final one; publishing is to see that all of it has arrived, and a rename on the remote. */
export function createRcloneWriter(place: RcloneWriterPlace): ObjectWriter {
  const { key, upload } = place;
  let size = 0;
  let stage: "open" | "closed" | "over" = "open";
  let parts: Buffer[] = [];
  let held = 0;
  let closing: Promise<void> | null = null;

  /** Small chunks cost more in calls than in bytes. */
  const flush = async () => {
    const batch = parts.length === 1 && parts[0] ? parts[0] : Buffer.concat(parts);
    parts = [];
    held = 0;
    if (batch.length > 0) await upload.write(batch);
  };
  const close = () => {
    stage = "closed";
    closing ??= flush().then(() => upload.end());
    closing.catch(() => {}); // reported to whoever waits for it
    return closing;
  };
  const discard = async () => {
    // An upload that is cut off may leave a file after it was looked for; one that ends leaves it before.
    const over = new AbortController();
    const late = new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ENDING_MS);
      over.signal.addEventListener("abort", () => clearTimeout(timer));
    });
    await Promise.race([upload.end().catch(() => {}), late]);
    over.abort();
    upload.destroy();
    // What cannot be removed now is found by the sweep.
    await place.removeTemporary().catch(() => {});
    place.release();
  };
  const publish = async () => {
    await close();
    const arrived = await place.temporarySize();
    if (arrived !== size) throw new Error(`of ${size} bytes ${arrived ?? "none"} arrived`);
    if (!place.claim() || (await place.finalSize()) !== null) throw exists(key);
    try {
      await place.rename();
    } catch (error) {
      // The answer may have been lost, or the copy that a rename is on some remotes was made without its original being removed.
      const [copied, left] = [await place.finalSize(), await place.temporarySize()];
      if (copied === size && left === null) return;
      // Whoever is told that it failed must not find it published.
      if (copied !== null) await place.removeFinal();
      throw error;
    }
  };

  return {
    get sizeBytes() {
      return size;
    },
    async write(chunk) {
      if (stage !== "open") throw ended(key);
      parts.push(chunk);
      held += chunk.length;
      size += chunk.length;
      if (held < GATHER_BYTES) return;
      try {
        await flush();
      } catch (error) {
        throw place.inWords(error, "write an object");
      }
    },
    async close() {
      if (stage === "over") return;
      try {
        await close();
      } catch (error) {
        throw place.inWords(error, "write an object");
      }
    },
    async commit() {
      if (stage === "over") throw ended(key);
      try {
        await publish();
        stage = "over";
        place.release();
      } catch (error) {
        stage = "over";
        await discard();
        throw place.inWords(error, "publish an object");
      }
    },
    async abort() {
      if (stage === "over") return;
      stage = "over";
      parts = [];
      await discard();
    },
  };
}
