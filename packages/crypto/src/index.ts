export { ageEncrypt, encryptPayload } from "./age/encrypt.ts";
export { type AuditWalked, createAuditWalk } from "./audit-chain.ts";
export { MAX_HEADER_LENGTH, createAgeHeader, headerSha256, parseAgeHeader, unwrapFileKey } from "./age/header.ts";
export { openPayload } from "./age/open.ts";
export { ciphertextSize, plaintextSize } from "./age/payload-format.ts";
export * from "./identity.ts";
export { kekId, parseKek } from "./keyring/kek.ts";
export { createKeyring, type KeyEncryptionKey, type Keyring, type WrapContext } from "./keyring/keyring.ts";
export { newDataKey, openSecret, sealSecret, type SecretPlace } from "./keyring/secrets.ts";
export { checkPasswordStrength, hashPassword, verifyPassword } from "./passwords.ts";
export { issueCertificate, verifyCertificate, type WorkerCertificate } from "./signing/certificate.ts";
export { signDocument, verifyDocument, type SignableDocument } from "./signing/documents.ts";
export {
  generateSigningKey,
  publicKeyOf,
  signBytes,
  signingKeyId,
  verifyBytes,
  type SigningKey,
} from "./signing/ed25519.ts";
export { signToken, verifyToken, type TokenClaims, type TokenExpectation, type TokenRequest } from "./tokens/jwt.ts";
export { hashOpaqueToken, newOpaqueToken } from "./tokens/opaque.ts";
export { parseProof, proofBytes, proofKeyOf, signProof, verifyProof } from "./proof.ts";
export { parseTombstone, standsFor, signTombstone, tombstoneBytes, verifyTombstone } from "./tombstone.ts";
export { manifestBytes, manifestSha256, parseManifest, signManifest, verifyManifest } from "./manifest.ts";
