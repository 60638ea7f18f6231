/** Age keys and the recovery kit, free of anything that only Node has: the browser makes customer-held keys with this. */
export {
  checkRecipient,
  generateIdentity,
  parseIdentityFile,
  recipientFingerprint,
  recipientOf,
  type AgeKeyPair,
} from "./identity/keys.ts";
export { formatRecoveryKit, parseRecoveryKit, type RecoveryKit } from "./identity/recovery-kit.ts";
export { decryptText, encryptText } from "./identity/text.ts";
