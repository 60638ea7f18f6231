import { XVaultError } from "@xvault/kernel";
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  sign,
  verify,
  type KeyObject,
} from "node:crypto";

/** An Ed25519 key pair. */
export interface SigningKey {
  /** Base64 of the 32 raw bytes. */
  publicKey: string;
  /** PKCS #8 as PEM. Secret. */
  privateKey: string;
}

const PUBLIC_KEY_SIZE = 32;
const SIGNATURE_SIZE = 64;

export function generateSigningKey(): SigningKey {
  const { privateKey } = generateKeyPairSync("ed25519");
  const pem = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  return { publicKey: publicKeyOf(pem), privateKey: pem };
}

/** The public key (base64 of 32 raw bytes) that belongs to a private key in PEM. */
export function publicKeyOf(privateKey: string): string {
  const { x } = createPublicKey(ed25519PrivateKey(privateKey)).export({ format: "jwk" });
  return Buffer.from(x ?? "", "base64url").toString("base64");
}

/** The id of a signing key: the first 16 hex digits of the SHA-256 of the raw public key. @throws SIGNATURE_INVALID. */
export function signingKeyId(publicKey: string): string {
  return createHash("sha256").update(rawPublicKey(publicKey)).digest("hex").slice(0, 16);
}

/** An Ed25519 signature over `bytes`, as base64. */
export function signBytes(bytes: Uint8Array, privateKey: string): string {
  return sign(null, bytes, ed25519PrivateKey(privateKey)).toString("base64");
}

/** True when `signature` (base64) over `bytes` was made by the private key of `publicKey` (base64 of 32 raw bytes). Never throws. */
export function verifyBytes(bytes: Uint8Array, signature: string, publicKey: string): boolean {
  const raw = strictBase64(signature, SIGNATURE_SIZE);
  if (!raw || !strictBase64(publicKey, PUBLIC_KEY_SIZE)) return false;
  try {
    return verify(null, bytes, ed25519PublicKey(publicKey), raw);
  } catch {
    return false;
  }
}

/** The public key as node:crypto and jose take it. @throws SIGNATURE_INVALID when it is not base64 of 32 bytes. */
export function ed25519PublicKey(publicKey: string): KeyObject {
  const x = rawPublicKey(publicKey).toString("base64url");
  return createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
}

/** The private key as node:crypto and jose take it. Throws TypeError for a key of another kind. */
export function ed25519PrivateKey(privateKey: string): KeyObject {
  const key = createPrivateKey(privateKey);
  if (key.asymmetricKeyType !== "ed25519") throw new TypeError("the private key is not an Ed25519 key");
  return key;
}

function rawPublicKey(publicKey: string): Buffer {
  const raw = strictBase64(publicKey, PUBLIC_KEY_SIZE);
  if (!raw) throw new XVaultError("SIGNATURE_INVALID", "A public signing key is not 32 bytes in base64.");
  return raw;
}

/** Node reads almost anything as base64; this takes the one canonical spelling of `size` bytes. */
function strictBase64(text: unknown, size: number): Buffer | null {
  if (typeof text !== "string") return null;
  const raw = Buffer.from(text, "base64");
  return raw.length === size && raw.toString("base64") === text ? raw : null;
}
