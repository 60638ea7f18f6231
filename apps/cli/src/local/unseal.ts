import type { Manifest } from "@xvault/contracts";
import { type CheckedSnapshot, unsealWithIdentities } from "@xvault/engine";
import { isXVaultError, XVaultError } from "@xvault/kernel";
import type { IdentityFile } from "./identity.ts";

/** Unseals a checked snapshot with an identity file, and says which key is needed where it does not fit. @throws KEY_MISMATCH */
export async function unsealWith(
  checked: CheckedSnapshot,
  file: IdentityFile,
): ReturnType<typeof unsealWithIdentities> {
  try {
    return await unsealWithIdentities(checked, file.identities);
  } catch (error) {
    if (!isXVaultError(error, "KEY_MISMATCH")) throw error;
    const needed = fingerprintsOf(checked.manifest).join(" or ");
    throw new XVaultError("KEY_MISMATCH", "None of the identities in this file opens the snapshot.", {
      fix: `Use the identity whose recipient has the fingerprint ${needed} ('xvault key show FILE' tells a file's).`,
      cause: error,
    });
  }
}

export function fingerprintsOf(manifest: Manifest): string[] {
  return manifest.encryption.recipients.map((recipient) => recipient.fingerprint);
}
