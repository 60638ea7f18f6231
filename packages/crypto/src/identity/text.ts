import { XVaultError } from "@xvault/kernel";
import { Decrypter, Encrypter, armor } from "age-encryption";
import { checkRecipient } from "./keys.ts";

/**
 * Encrypts a short text to a recipient, as an armored age file. Serves the test decryption that proves a recovery kit works.
 *
 * @throws RECIPIENT_INVALID, RECIPIENT_IS_PRIVATE.
 */
export async function encryptText(recipient: string, text: string): Promise<string> {
  const encrypter = new Encrypter();
  encrypter.addRecipient(checkRecipient(recipient));
  try {
    return armor.encode(await encrypter.encrypt(text));
  } catch (cause) {
    throw new XVaultError("RECIPIENT_INVALID", undefined, { cause });
  }
}

/**
 * Decrypts what {@link encryptText} (or `age -a`) made.
 *
 * @throws IDENTITY_INVALID; KEY_MISMATCH when the identity does not fit; ARCHIVE_MALFORMED when the text is no armored age file;
 * ARTIFACT_CORRUPT when it was changed.
 */
export async function decryptText(identity: string, armored: string): Promise<string> {
  const decrypter = new Decrypter();
  try {
    decrypter.addIdentity(identity.trim());
  } catch {
    throw new XVaultError("IDENTITY_INVALID");
  }
  let file: Uint8Array;
  try {
    file = armor.decode(armored);
  } catch (cause) {
    throw new XVaultError("ARCHIVE_MALFORMED", "This is not an armored age file.", { cause });
  }
  try {
    return await decrypter.decrypt(file, "text");
  } catch (cause) {
    const mismatch = cause instanceof Error && cause.message.startsWith("no identity matched");
    throw new XVaultError(mismatch ? "KEY_MISMATCH" : "ARTIFACT_CORRUPT", undefined, { cause });
  }
}
