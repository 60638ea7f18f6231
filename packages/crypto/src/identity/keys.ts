import { XVaultError } from "@xvault/kernel";
import { Decrypter, Encrypter, generateX25519Identity, identityToRecipient } from "age-encryption";

/** An age key pair: the identity decrypts and is secret, the recipient encrypts and is public. */
export interface AgeKeyPair {
  /** AGE-SECRET-KEY-1… */
  identity: string;
  /** age1… */
  recipient: string;
}

/** Makes a new X25519 key pair, which stock age of every version can use. */
export async function generateIdentity(): Promise<AgeKeyPair> {
  const identity = await generateX25519Identity();
  return { identity, recipient: await identityToRecipient(identity) };
}

/**
 * The recipient that belongs to an identity (surrounding white space is ignored).
 *
 * @throws IDENTITY_INVALID.
 */
export async function recipientOf(identity: string): Promise<string> {
  try {
    return await identityToRecipient(identity.trim());
  } catch {
    // The cause may quote the identity, so it is not passed on.
    throw new XVaultError("IDENTITY_INVALID");
  }
}

/** What names a recipient where the whole of it would be too long: the first 32 lower-case hex digits of its SHA-256. */
export async function recipientFingerprint(recipient: string): Promise<string> {
  const digest = await globalThis.crypto.subtle.digest("SHA-256", new TextEncoder().encode(recipient.trim()));
  return [...new Uint8Array(digest).subarray(0, 16)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * The recipient in what a person pasted, without surrounding white space. X25519 (age1…) and the post-quantum hybrid (age1pq1…) are
 * accepted, those that need a plug-in to decrypt are not.
 *
 * @throws RECIPIENT_IS_PRIVATE when the text holds a private key of any kind; RECIPIENT_INVALID. Neither repeats the text.
 */
export function checkRecipient(text: string): string {
  if (/AGE-SECRET-KEY|PRIVATE KEY-----/i.test(text)) throw new XVaultError("RECIPIENT_IS_PRIVATE");
  const recipient = text.trim();
  if (/^age1tag(pq)?1/.test(recipient)) {
    throw new XVaultError("RECIPIENT_INVALID", "Recipients of hardware keys are not supported.");
  }
  try {
    new Encrypter().addRecipient(recipient);
  } catch {
    throw new XVaultError("RECIPIENT_INVALID");
  }
  return recipient;
}

/**
 * The identities in an age identity file: one a line; empty lines and lines that begin with '#' are skipped.
 *
 * @throws IDENTITY_INVALID when a line is none, or when there is none at all. The line's number is told, never its text.
 */
export function parseIdentityFile(text: string): string[] {
  if (/-----BEGIN AGE ENCRYPTED FILE-----|^age-encryption\.org\/v1/.test(text)) {
    throw new XVaultError("IDENTITY_INVALID", "This identity file is protected with a passphrase.", {
      fix: "Decrypt it first: age -d -o identity.txt FILE.",
    });
  }
  const identities: string[] = [];
  for (const [index, raw] of text
    .replace(/^\uFEFF/, "")
    .split(/\r?\n/)
    .entries()) {
    const line = raw.trim();
    if (line === "" || line.startsWith("#")) continue;
    try {
      new Decrypter().addIdentity(line);
    } catch {
      throw new XVaultError("IDENTITY_INVALID", `Line ${index + 1} is not an age identity.`, {
        data: { line: index + 1 },
      });
    }
    identities.push(line);
  }
  if (identities.length === 0) throw new XVaultError("IDENTITY_INVALID", "There is no age identity in this file.");
  return identities;
}
