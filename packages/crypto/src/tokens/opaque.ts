import { createHash, randomBytes } from "node:crypto";

/**
 * A token without content, known by its hash alone (refresh, API and enrolment tokens): `prefix` and 32 random bytes in base64url.
 * `token` is shown once; `hash` is what the database keeps.
 */
export function newOpaqueToken(prefix: string): { token: string; hash: string } {
  const token = prefix + randomBytes(32).toString("base64url");
  return { token, hash: hashOpaqueToken(token) };
}

/** SHA-256 of the whole token in lower-case hex. The token is random, so it needs no salt and no slow hash. */
export function hashOpaqueToken(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}
