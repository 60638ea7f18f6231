import { signToken, verifyToken } from "@xvault/crypto";
import { type Clock, isId, XVaultError } from "@xvault/kernel";
import type { PlatformKeys } from "./platform-keys.ts";

/** Access tokens of people are a use of their own: no worker token, ticket or API token passes for one. */
const AUDIENCE = "xvault-user";
const ISSUER = "xvault-hub";
/** How long an access token is good. */
export const ACCESS_TOKEN_SECONDS = 300;

export interface AccessClaims {
  userId: string;
  sessionId: string;
  /** When the person last gave the password. */
  confirmedAt: Date;
}

/** Signs an access token: five minutes, for one session. Whether the session still lives is asked at every call. */
export async function issueAccessToken(
  keys: PlatformKeys,
  clock: Clock,
  claims: AccessClaims,
): Promise<{ token: string; expiresAt: Date }> {
  const token = await signToken({
    claims: { sid: claims.sessionId, auth_time: Math.floor(claims.confirmedAt.getTime() / 1000) },
    audience: AUDIENCE,
    issuer: ISSUER,
    subject: claims.userId,
    expiresInSeconds: ACCESS_TOKEN_SECONDS,
    keyId: keys.jwt.id,
    privateKey: keys.jwt.privateKey,
    clock,
  });
  return { token, expiresAt: new Date(clock.now().getTime() + ACCESS_TOKEN_SECONDS * 1000) };
}

/** @throws TOKEN_* */
export async function readAccessToken(keys: PlatformKeys, clock: Clock, token: string): Promise<AccessClaims> {
  const claims = await verifyToken(token, {
    audience: AUDIENCE,
    issuer: ISSUER,
    keys: (kid) => (Object.hasOwn(keys.jwtPublicKeys, kid) ? keys.jwtPublicKeys[kid] : undefined),
    clock,
  });
  const { sid, auth_time: confirmed } = claims;
  if (typeof sid !== "string" || !isId(sid) || !isId(claims.sub) || typeof confirmed !== "number") {
    throw new XVaultError("TOKEN_INVALID");
  }
  return { userId: claims.sub, sessionId: sid, confirmedAt: new Date(confirmed * 1000) };
}
