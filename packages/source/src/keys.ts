import { createHash } from "node:crypto";
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
  const pair = ssh2.utils.generateKeyPairSync("ed25519", { comment: comment.replace(/[^\x20-\x7e]/g, "") });
  const blob = Buffer.from(pair.public.split(" ")[1] ?? "", "base64");
  return { publicKeyLine: pair.public.trim(), privateKey: pair.private, fingerprint: fingerprint(blob) };
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
