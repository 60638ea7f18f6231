import { createHash, generateKeyPairSync, randomBytes } from "node:crypto";
import ssh2 from "ssh2";
import { XVaultError } from "@xvault/kernel";
import type { HostKey } from "./types.ts";

/** 'SHA256:…' of a public key blob, as `ssh-keygen -l` prints it. */
export function fingerprint(blob: Buffer): string {
  return `SHA256:${createHash("sha256").update(blob).digest("base64").replace(/=+$/, "")}`;
}

/** A host key as people compare it, from the blob that the server presented. */
export function hostKeyFromBlob(blob: Buffer): HostKey {
  const length = blob.length >= 4 ? blob.readUInt32BE(0) : 0;
  return {
    algorithm: blob.toString("latin1", 4, 4 + Math.min(length, 64)),
    key: blob.toString("base64"),
    fingerprint: fingerprint(blob),
  };
}

/** A fresh Ed25519 pair in OpenSSH's format. The public line is ready for authorized_keys. */
export function generateKeyPair(comment: string): { publicKeyLine: string; privateKey: string; fingerprint: string } {
  const { d: seed = "", x = "" } = generateKeyPairSync("ed25519").privateKey.export({ format: "jwk" });
  return openSshKeyPair(Buffer.from(seed, "base64url"), Buffer.from(x, "base64url"), comment);
}

/**
 * An Ed25519 pair in OpenSSH's format (PROTOCOL.key of OpenSSH), from its 32-byte seed and its 32-byte public key. Written here because
 * ssh2's own generator (1.17) drops leading zero bytes: about one in 128 of its keys opens nothing.
 */
export function openSshKeyPair(
  seed: Buffer,
  publicKey: Buffer,
  comment: string,
): { publicKeyLine: string; privateKey: string; fingerprint: string } {
  const label = comment.replace(/[^\x20-\x7e]/g, "");
  const blob = Buffer.concat([field("ssh-ed25519"), field(publicKey)]);
  const check = randomBytes(4);
  const open = Buffer.concat([check, check, blob, field(Buffer.concat([seed, publicKey])), field(label)]);
  // Padded with 1, 2, 3 … to the block size of no cipher, 8 bytes.
  const padding = Buffer.from(Array.from({ length: (8 - (open.length % 8)) % 8 }, (_, index) => index + 1));
  const file = Buffer.concat([
    Buffer.from("openssh-key-v1\0"),
    field("none"),
    field("none"),
    field(""),
    Buffer.from([0, 0, 0, 1]),
    field(blob),
    field(Buffer.concat([open, padding])),
  ]);
  const lines = file.toString("base64").match(/.{1,70}/g) ?? [];
  return {
    publicKeyLine: ["ssh-ed25519", blob.toString("base64"), label].filter(Boolean).join(" "),
    privateKey: ["-----BEGIN OPENSSH PRIVATE KEY-----", ...lines, "-----END OPENSSH PRIVATE KEY-----", ""].join("\n"),
    fingerprint: fingerprint(blob),
  };
}

/** A string as SSH writes it: its length in four bytes, then itself. */
function field(content: string | Buffer): Buffer {
  const bytes = typeof content === "string" ? Buffer.from(content) : content;
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

/**
 * Reads a private key in OpenSSH, PEM or PuTTY format.
 *
 * @throws KEY_INVALID, KEY_PASSPHRASE_REQUIRED (also when the passphrase given is wrong)
 */
export function inspectPrivateKey(
  text: string,
  passphrase?: string,
): { algorithm: string; publicKeyLine: string; fingerprint: string; encrypted: boolean } {
  // Pasted keys arrive with the line ends of any system and lose their last one.
  const tidy = `${text.replaceAll("\r\n", "\n").trim()}\n`;
  const parsed = ssh2.utils.parseKey(tidy, passphrase);
  if (parsed instanceof Error) {
    if (/encrypted|passphrase/i.test(parsed.message)) {
      const message = passphrase ? "The passphrase does not open the private key." : undefined;
      throw new XVaultError("KEY_PASSPHRASE_REQUIRED", message, { cause: parsed });
    }
    if (passphrase && /decrypt|integrity|malformed|bad/i.test(parsed.message)) {
      throw new XVaultError("KEY_PASSPHRASE_REQUIRED", "The passphrase does not open the private key.", {
        cause: parsed,
      });
    }
    throw new XVaultError("KEY_INVALID", undefined, { cause: parsed });
  }
  const key = Array.isArray(parsed) ? parsed[0] : parsed;
  if (!key || !key.isPrivateKey()) {
    throw new XVaultError("KEY_INVALID", "This is a public key, not a private one.", {
      fix: "Paste the private key; its file usually has no '.pub' at the end.",
    });
  }
  const blob = key.getPublicSSH();
  const comment = key.comment ? ` ${key.comment}` : "";
  return {
    algorithm: key.type,
    publicKeyLine: `${key.type} ${blob.toString("base64")}${comment}`,
    fingerprint: fingerprint(blob),
    encrypted: ssh2.utils.parseKey(tidy) instanceof Error,
  };
}
