import { PROOF_DOMAIN, type RestoreProof, type RestoreProofBody, restoreProofSchema } from "@xvault/contracts";
import { canonicalJson, type Json, XVaultError } from "@xvault/kernel";
import { createPrivateKey, hkdfSync } from "node:crypto";
import { verifyCertificate } from "./signing/certificate.ts";
import { signDocument, verifyDocument } from "./signing/documents.ts";
import { publicKeyOf, type SigningKey } from "./signing/ed25519.ts";

const MAX_PROOF_BYTES = 256 * 1024;
const KEY_INFO = "xvault restore proof key v1";
/** What stands before the 32 bytes of an Ed25519 key in PKCS #8. */
const PKCS8_HEAD = Buffer.from("302e020100300506032b657004220420", "hex");

/** Signs the statement that a snapshot was restored, with the private key (PEM) that belongs to its `signer`. */
export function signProof(body: RestoreProofBody, privateKey: string): RestoreProof {
  return { ...body, signature: signDocument(body, privateKey, PROOF_DOMAIN) };
}

/** The one byte form of a proof: canonical JSON (RFC 8785). Any other form of the same JSON is as good. */
export function proofBytes(proof: RestoreProof): Buffer {
  return Buffer.from(canonicalJson(proof as unknown as Json), "utf8");
}

/**
 * Reads a proof. Says nothing about who made it: see {@link verifyProof}.
 *
 * @throws ARCHIVE_MALFORMED, also for one with members that this version does not know: the signature would not be over what is read.
 */
export function parseProof(bytes: Buffer): RestoreProof {
  try {
    if (bytes.length > MAX_PROOF_BYTES) throw new Error("it is too long");
    const value = JSON.parse(bytes.toString("utf8")) as Json;
    const proof = restoreProofSchema.parse(value);
    if (!proofBytes(proof).equals(Buffer.from(canonicalJson(value)))) throw new Error("it has unknown members");
    return proof;
  } catch (cause) {
    throw new XVaultError("ARCHIVE_MALFORMED", "This is not a restore proof of a format that is known.", {
      fix: "Give the very file that xVault handed out; a newer one needs a newer xVault.",
      cause,
    });
  }
}

/**
 * Checks who made a proof. A worker's: its certificate is signed by one of `rootKeys` (base64) and was valid when the restore ended. A key
 * holder's: by one of `holderKeys` (base64).
 *
 * @throws SIGNATURE_INVALID
 */
export function verifyProof(proof: RestoreProof, trusted: { rootKeys: string[]; holderKeys?: string[] }): void {
  const { signature, ...body } = proof;
  const { signer } = proof;
  if (signer.kind === "worker") {
    verifyCertificate(signer.certificate, trusted.rootKeys, new Date(proof.finished_at));
    verifyDocument(body, signature, signer.certificate.public_key, PROOF_DOMAIN);
    return;
  }
  if (!trusted.holderKeys?.includes(signer.public_key)) {
    throw new XVaultError("SIGNATURE_INVALID", "The proof is signed by a key holder whose key is not known here.", {
      fix: "Ask the holder for the proof key ('xvault key show FILE' tells it) and give it with --holder-key.",
    });
  }
  verifyDocument(body, signature, signer.public_key, PROOF_DOMAIN);
}

/**
 * The key by which whoever holds an age identity signs restore proofs: derived from it (HKDF-SHA256), so that there is no second secret to
 * keep. It tells nothing about the identity and opens nothing.
 */
export function proofKeyOf(identity: string): SigningKey {
  const seed = hkdfSync("sha256", Buffer.from(identity.trim().toUpperCase()), Buffer.alloc(0), KEY_INFO, 32);
  const key = Buffer.concat([PKCS8_HEAD, Buffer.from(seed)]);
  const pem = createPrivateKey({ key, format: "der", type: "pkcs8" }).export({ type: "pkcs8", format: "pem" });
  return { publicKey: publicKeyOf(pem.toString()), privateKey: pem.toString() };
}
