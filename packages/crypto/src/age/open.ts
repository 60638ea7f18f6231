import { XVaultError, type ByteReader } from "@xvault/kernel";
import { createDecipheriv, type KeyObject } from "node:crypto";
import {
  CHUNK_SIZE,
  CIPHER,
  NONCE_SIZE,
  SEALED_CHUNK_SIZE,
  TAG_SIZE,
  chunkCount,
  chunkNonce,
  payloadKey,
  plaintextSize,
} from "./payload-format.ts";

/**
 * Random access to the plaintext of an age file whose header (`headerLength` bytes) was opened already. The last chunk is read and
 * checked at once, since it alone proves that the file is whole; it stays in memory, so that reading a table at the end of the
 * plaintext costs no second read. Each `read` is one ranged read of the chunks it touches, and every chunk is authenticated before a
 * byte of it is given out.
 *
 * @throws ARCHIVE_TRUNCATED when the file was cut; ARTIFACT_CORRUPT when its last chunk was changed or cut in the middle, or belongs
 * to another file key. Reads throw ARTIFACT_CORRUPT for a damaged chunk and ARCHIVE_TRUNCATED beyond the end.
 */
export async function openPayload(cipher: ByteReader, headerLength: number, fileKey: Uint8Array): Promise<ByteReader> {
  const size = plaintextSize(cipher.size, headerLength);
  const payloadStart = headerLength + NONCE_SIZE;
  const lastIndex = chunkCount(size) - 1;
  const lastStart = payloadStart + lastIndex * SEALED_CHUNK_SIZE;
  const [nonce, lastSealed] = await Promise.all([
    cipher.read(headerLength, NONCE_SIZE),
    cipher.read(lastStart, cipher.size - lastStart),
  ]);
  const key = payloadKey(fileKey, nonce);
  const lastPlain = openLastChunk(key, lastIndex, lastSealed);

  return {
    size,
    async read(offset, length) {
      if (offset < 0 || length < 0 || offset + length > size) {
        throw new XVaultError("ARCHIVE_TRUNCATED", "A read goes beyond the end of the encrypted file.");
      }
      const plain = Buffer.allocUnsafeSlow(length);
      const first = Math.floor(offset / CHUNK_SIZE);
      const beyond = Math.min(Math.ceil((offset + length) / CHUNK_SIZE), lastIndex);
      const put = (chunk: Buffer, index: number) => {
        const at = index * CHUNK_SIZE - offset;
        chunk.copy(plain, Math.max(at, 0), Math.max(-at, 0));
      };
      if (length > 0 && beyond > first) {
        const start = first * SEALED_CHUNK_SIZE;
        const sealed = await cipher.read(payloadStart + start, (beyond - first) * SEALED_CHUNK_SIZE);
        for (let index = first; index < beyond; index += 1) {
          const from = index * SEALED_CHUNK_SIZE - start;
          const chunk = openChunk(key, index, false, sealed.subarray(from, from + SEALED_CHUNK_SIZE));
          if (!chunk) throw damaged(index);
          put(chunk, index);
        }
      }
      if (offset + length > lastIndex * CHUNK_SIZE) put(lastPlain, lastIndex);
      return plain;
    },
  };
}

function damaged(index: number): XVaultError {
  return new XVaultError("ARTIFACT_CORRUPT", `Chunk ${index} of the encrypted file is damaged.`, {
    data: { chunk: index },
  });
}

/** The chunk's plaintext, or null when its tag does not match. */
function openChunk(key: KeyObject, index: number, last: boolean, sealed: Buffer): Buffer | null {
  const end = sealed.length - TAG_SIZE;
  const decipher = createDecipheriv(CIPHER, key, chunkNonce(index, last), { authTagLength: TAG_SIZE });
  decipher.setAuthTag(sealed.subarray(end));
  const plain = decipher.update(sealed.subarray(0, end));
  try {
    decipher.final();
  } catch {
    return null;
  }
  return plain;
}

function openLastChunk(key: KeyObject, index: number, sealed: Buffer): Buffer {
  const plain = openChunk(key, index, true, sealed);
  if (plain) return plain;
  if (sealed.length === SEALED_CHUNK_SIZE && openChunk(key, index, false, sealed)) {
    throw new XVaultError("ARCHIVE_TRUNCATED", "The encrypted file ends before its last chunk.");
  }
  throw new XVaultError("ARTIFACT_CORRUPT", "The last chunk of the encrypted file is damaged or cut off.", {
    data: { chunk: index },
  });
}
