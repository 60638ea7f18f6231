import { XVaultError, canonicalJson, type Json } from "@xvault/kernel";
import { signBytes, verifyBytes } from "./ed25519.ts";

/** A JSON object that is signed. A `signature` member may be in it and is left out of what is signed. */
export type SignableDocument = { readonly [key: string]: Json | undefined };

/** What is signed: the domain line, then the canonical JSON (RFC 8785) of the document without its signature. */
function signedBytes(doc: SignableDocument, domain: string): Buffer {
  return Buffer.from(domain + canonicalJson({ ...doc, signature: undefined }));
}

/** A wrong domain is a mistake of the program, never a forged document. */
function checkDomain(domain: string): void {
  if (!/^[^\n]+\n$/.test(domain)) throw new TypeError("a signature domain is one line and ends with a line feed");
}

/**
 * Signs a document with an Ed25519 key (PEM).
 *
 * @param domain one line, its line feed included, that says what kind of document it is ("xvault manifest v1\n"), so that a signature
 * over one kind never counts for another.
 * @returns the signature in base64.
 */
export function signDocument(doc: SignableDocument, privateKey: string, domain: string): string {
  checkDomain(domain);
  return signBytes(signedBytes(doc, domain), privateKey);
}

/**
 * Checks the signature over a document.
 *
 * @throws SIGNATURE_INVALID when it is missing, or not by this key over this document in this domain.
 */
export function verifyDocument(doc: SignableDocument, signature: string, publicKey: string, domain: string): void {
  checkDomain(domain);
  let bytes: Buffer;
  try {
    bytes = signedBytes(doc, domain);
  } catch (cause) {
    throw new XVaultError("SIGNATURE_INVALID", "What should be signed is not JSON.", { cause });
  }
  if (!verifyBytes(bytes, signature, publicKey)) throw new XVaultError("SIGNATURE_INVALID");
}
