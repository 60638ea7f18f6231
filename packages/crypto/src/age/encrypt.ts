import { type ByteSink, giveBack, lend } from "@xvault/kernel";
import { createCipheriv, randomBytes } from "node:crypto";
import { createAgeHeader } from "./header.ts";
import { CHUNK_SIZE, CIPHER, NONCE_SIZE, TAG_SIZE, chunkNonce, payloadKey } from "./payload-format.ts";

/**
 * A sink that encrypts what it is given as an age v1 payload (16-byte nonce, then ChaCha20-Poly1305 chunks of 64 KiB) and writes it to
 * `next`, each chunk and each tag as the cipher gives them: gathering them would copy every byte once more. The header is not written: see {@link ageEncrypt}. Source: the age specification at
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

  async function seal(plain: Buffer, last: boolean): Promise<void> {
    if (index === 0) await next.write(nonce);
    const cipher = createCipheriv(CIPHER, key, chunkNonce(index, last), { authTagLength: TAG_SIZE });
    index += 1;
    const sealed = lend(cipher.update(plain));
    cipher.final();
    if (sealed.length > 0) await next.write(sealed);
    await next.write(cipher.getAuthTag());
  }

  return {
    async write(chunk) {
      let at = 0;
      while (at < chunk.length) {
        // A full chunk is sealed only when more bytes follow, since the last one is sealed differently.
        if (heldLength === CHUNK_SIZE) {
          await seal(held, false);
          heldLength = 0;
        } else if (heldLength === 0 && chunk.length - at > CHUNK_SIZE) {
          await seal(chunk.subarray(at, at + CHUNK_SIZE), false);
          at += CHUNK_SIZE;
        } else {
          const taken = chunk.copy(held, heldLength, at);
          heldLength += taken;
          at += taken;
        }
      }
      giveBack(chunk);
    },
    async close() {
      await seal(held.subarray(0, heldLength), true);
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
