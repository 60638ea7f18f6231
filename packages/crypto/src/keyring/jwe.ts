import { XVaultError, canonicalJson, type Json } from "@xvault/kernel";
import { FlattenedEncrypt, flattenedDecrypt, type FlattenedJWE } from "jose";

/** How a JWE finds its content key: wrapped by a key of our own (A256GCMKW), or it is that key itself (dir). */
export type KeyManagement = "A256GCMKW" | "dir";

const ENCODER = new TextEncoder();

/**
 * Encrypts with AES-256-GCM to a flattened JWE, as JSON text. `place` goes into the authenticated data but not into the text: whoever
 * opens it must say where it was found, so one that was moved does not open.
 */
export async function sealJwe(
  plaintext: Uint8Array,
  key: Uint8Array,
  header: { alg: KeyManagement; kid?: string },
  place: Json,
): Promise<string> {
  const jwe = await new FlattenedEncrypt(plaintext)
    .setProtectedHeader({ ...header, enc: "A256GCM" })
    .setAdditionalAuthenticatedData(ENCODER.encode(canonicalJson(place)))
    .encrypt(key);
  delete jwe.aad;
  return JSON.stringify(jwe);
}

/**
 * Opens what {@link sealJwe} made with the same key for the same place.
 *
 * @throws SECRET_UNREADABLE for any other key, place or text.
 */
export async function openJwe(text: string, key: Uint8Array, alg: KeyManagement, place: Json): Promise<Buffer> {
  try {
    const jwe = JSON.parse(text) as FlattenedJWE;
    const aad = Buffer.from(canonicalJson(place)).toString("base64url");
    const { plaintext } = await flattenedDecrypt({ ...jwe, aad }, key, {
      keyManagementAlgorithms: [alg],
      contentEncryptionAlgorithms: ["A256GCM"],
    });
    return Buffer.from(plaintext);
  } catch (cause) {
    throw new XVaultError("SECRET_UNREADABLE", undefined, { cause });
  }
}
