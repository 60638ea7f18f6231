import { XVaultError } from "@xvault/kernel";
import { createSecretKey, hkdfSync, type KeyObject } from "node:crypto";

/** Plain bytes in every chunk but the last (age v1, "STREAM" payload). */
export const CHUNK_SIZE = 64 * 1024;
/** Bytes of the Poly1305 tag behind every chunk. */
export const TAG_SIZE = 16;
/** Encrypted bytes of every chunk but the last. */
export const SEALED_CHUNK_SIZE = CHUNK_SIZE + TAG_SIZE;
/** Bytes of the payload nonce between header and first chunk. */
export const NONCE_SIZE = 16;
/** Bytes of a file key. */
const FILE_KEY_SIZE = 16;
/** The AEAD of the payload, as node:crypto names it. */
export const CIPHER = "chacha20-poly1305";

/** The key of the payload: HKDF-SHA256 of the file key, salted with the nonce, labelled "payload". */
export function payloadKey(fileKey: Uint8Array, nonce: Uint8Array): KeyObject {
  if (fileKey.length !== FILE_KEY_SIZE) throw new XVaultError("KEY_MISMATCH", "A file key is 16 bytes long.");
  // A KeyObject and not a Buffer: with a Buffer each of the many small cipher calls imports the key again.
  return createSecretKey(Buffer.from(hkdfSync("sha256", fileKey, nonce, "payload", 32)));
}

/** The AEAD nonce of chunk `index`: the index in 11 bytes, big endian, then 1 for the last chunk and 0 for any other. */
export function chunkNonce(index: number, last: boolean): Buffer {
  const nonce = Buffer.alloc(12);
  nonce.writeUIntBE(index, 5, 6);
  nonce[11] = last ? 1 : 0;
  return nonce;
}

/** How many chunks carry `plain` bytes. No bytes at all still take one (empty) chunk. */
export function chunkCount(plain: number): number {
  return Math.max(1, Math.ceil(plain / CHUNK_SIZE));
}

/** Bytes of the whole age file with a header of `headerLength` bytes around `plain` bytes. */
export function ciphertextSize(plain: number, headerLength: number): number {
  return headerLength + NONCE_SIZE + plain + TAG_SIZE * chunkCount(plain);
}

/**
 * Bytes of plaintext in an age file of `cipher` bytes with a header of `headerLength` bytes.
 *
 * @throws ARCHIVE_TRUNCATED when no whole age file has this size.
 */
export function plaintextSize(cipher: number, headerLength: number): number {
  const sealed = cipher - headerLength - NONCE_SIZE;
  if (sealed === TAG_SIZE) return 0;
  const rest = sealed % SEALED_CHUNK_SIZE;
  // An empty last chunk is allowed only as the only one.
  if (sealed < TAG_SIZE || (rest > 0 && rest <= TAG_SIZE)) {
    throw new XVaultError("ARCHIVE_TRUNCATED", "The encrypted file ends in the middle of a chunk.");
  }
  return sealed - TAG_SIZE * Math.ceil(sealed / SEALED_CHUNK_SIZE);
}
