import { XVaultError } from "@xvault/kernel";
import { createHash } from "node:crypto";

/** Bytes of a key-encryption key and of a data key. */
export const KEY_SIZE = 32;

/** The id of a key-encryption key: the first 16 hex digits of SHA-256 over "xvault-kek" and the key. It tells nothing about the key. */
export function kekId(key: Uint8Array): string {
  return createHash("sha256").update("xvault-kek").update(key).digest("hex").slice(0, 16);
}

/**
 * A key-encryption key as operators write it: 32 bytes in hex, base64 or base64url; white space around it is ignored.
 *
 * @throws KEK_INVALID, telling the length found and nothing of the key.
 */
export function parseKek(text: string): Buffer {
  const trimmed = text.trim();
  const key = decode(trimmed);
  if (key?.length === KEY_SIZE) return key;
  const found = key ? `It holds ${key.length} bytes.` : "It is neither hex nor base64.";
  throw new XVaultError("KEK_INVALID", `The key encryption key must be exactly ${KEY_SIZE} bytes. ${found}`);
}

function decode(text: string): Buffer | null {
  // Hex first: hex digits are base64 too, but 64 of them would be 48 bytes, which no one means.
  if (/^([0-9a-f]{2})*$/i.test(text)) return Buffer.from(text, "hex");
  if (/^[A-Za-z0-9+/]+={0,2}$/.test(text)) return Buffer.from(text, "base64");
  if (/^[A-Za-z0-9_-]+={0,2}$/.test(text)) return Buffer.from(text, "base64url");
  return null;
}
