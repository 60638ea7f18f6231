import { readFile } from "node:fs/promises";
import { parseRecoveryKit, recipientFingerprint, recipientOf } from "@xvault/crypto";
import { XVaultError } from "@xvault/kernel";

/** An identity file, read. What is in it stays in this process. */
export interface IdentityFile {
  identities: string[];
  /** The hub's root public keys, where the file is a recovery kit. */
  rootKeys: string[];
}

/** @throws NOT_FOUND, PATH_DENIED, IDENTITY_INVALID */
export async function readIdentityFile(file: string): Promise<IdentityFile> {
  return parseRecoveryKit(await readSecretFile(file, "identity file"));
}

/** A small file with a secret in it. @throws NOT_FOUND, PATH_DENIED */
export async function readSecretFile(file: string, what: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === "ENOENT";
    throw new XVaultError(
      missing ? "NOT_FOUND" : "PATH_DENIED",
      `The ${what} ${file} ${missing ? "does not exist" : "cannot be read"}.`,
      {
        fix: `Name the ${what}; this user must be able to read it.`,
        cause,
      },
    );
  }
}

/** The recipients that the identities of a file belong to, with the fingerprints by which manifests name them. */
export async function recipientsOf(file: IdentityFile): Promise<{ recipient: string; fingerprint: string }[]> {
  return Promise.all(
    file.identities.map(async (identity) => {
      const recipient = await recipientOf(identity);
      return { recipient, fingerprint: await recipientFingerprint(recipient) };
    }),
  );
}
