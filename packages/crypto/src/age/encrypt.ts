import type { ByteSink } from "@xvault/kernel";
import { createCipheriv, randomBytes } from "node:crypto";
import { createAgeHeader } from "./header.ts";
import {
  CHUNK_SIZE,
  CIPHER,
  NONCE_SIZE,
  SEALED_CHUNK_SIZE,
  TAG_SIZE,
  chunkNonce,
  payloadKey,
} from "./payload-format.ts";

/** Chunks a write to the next sink: about 1 MiB, so that storage sees few and large writes. */
const CHUNKS_PER_WRITE = 16;

/**
 * A sink that encrypts what it is given as an age v1 payload (16-byte nonce, then ChaCha20-Poly1305 chunks of 64 KiB) and writes it to
 * `next` in pieces of about 1 MiB. The header is not written: see {@link ageEncrypt}. Source: the age specification at
 * age-encryption.org/v1, "Payload".
 *
 * @throws KEY_MISMATCH when `fileKey` is not 16 bytes long.
 */
export function encryptPayload(next: ByteSink, fileKey: Uint8Array): ByteSink {
  const nonce = randomBytes(NONCE_SIZE);
  const key = payloadKey(fileKey, nonce);
  const held = Buffer.allocUnsafeSlow(CHUNK_SIZE);
  let heldLength = 0;
  let index = 0;
  let batch = newBatch();
  let batchLength = nonce.copy(batch);

  function newBatch(): Buffer {
    return Buffer.allocUnsafeSlow(NONCE_SIZE + CHUNKS_PER_WRITE * SEALED_CHUNK_SIZE);
  }

  function seal(plain: Buffer, last: boolean): void {
    const cipher = createCipheriv(CIPHER, key, chunkNonce(index, last), { authTagLength: TAG_SIZE });
    batchLength += cipher.update(plain).copy(batch, batchLength);
    cipher.final();
    batchLength += cipher.getAuthTag().copy(batch, batchLength);
    index += 1;
  }

  async function flush(): Promise<void> {
    const full = batch.subarray(0, batchLength);
    // The next sink may keep what it was given, so a batch is never reused.
    batch = newBatch();
    batchLength = 0;
    await next.write(full);
  }

  return {
    async write(chunk) {
      let at = 0;
      while (at < chunk.length) {
        // A full chunk is sealed only when more bytes follow, since the last one is sealed differently.
        let sealed = true;
        if (heldLength === CHUNK_SIZE) {
          seal(held, false);
          heldLength = 0;
        } else if (heldLength === 0 && chunk.length - at > CHUNK_SIZE) {
          seal(chunk.subarray(at, at + CHUNK_SIZE), false);
          at += CHUNK_SIZE;
        } else {
          const taken = chunk.copy(held, heldLength, at);
          heldLength += taken;
          at += taken;
          sealed = false;
        }
        if (sealed && index % CHUNKS_PER_WRITE === 0) await flush();
      }
    },
    async close() {
      seal(held.subarray(0, heldLength), true);
      await flush();
      await next.close();
    },
  };
}

/**
 * Writes an age v1 header for `recipients` to `next` and gives the sink for the plaintext of the file. `header` and `fileKey` go to
 * the manifest (as its hash) and to the check right after writing.
 *
 * @throws RECIPIENT_INVALID, RECIPIENT_IS_PRIVATE.
 */
export async function ageEncrypt(
  next: ByteSink,
  recipients: readonly string[],
): Promise<{ sink: ByteSink; header: Buffer; fileKey: Buffer }> {
  const { header, fileKey } = await createAgeHeader(recipients);
  await next.write(header);
  return { sink: encryptPayload(next, fileKey), header, fileKey };
}
