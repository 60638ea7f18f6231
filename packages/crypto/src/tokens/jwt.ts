import { XVaultError, systemClock, type Clock, type ErrorCode } from "@xvault/kernel";
import { SignJWT, errors, jwtVerify, type JWTPayload } from "jose";
import { ed25519PrivateKey, ed25519PublicKey } from "../signing/ed25519.ts";

/** The only algorithm that is signed with and accepted: Ed25519. */
const ALGORITHM = "EdDSA";

export interface TokenRequest {
  /** Members of our own; the registered ones are set by the fields below. */
  claims?: Readonly<Record<string, unknown>>;
  audience: string;
  issuer: string;
  subject: string;
  expiresInSeconds: number;
  /** Goes into the header as `kid`. */
  keyId: string;
  /** Ed25519, PKCS #8 as PEM. */
  privateKey: string;
  clock?: Clock;
}

export interface TokenExpectation {
  audience: string;
  issuer: string;
  /** The public key (base64 of 32 raw bytes) of a key id, or undefined. The token's own hints at keys (jku, jwk, x5u) are ignored. */
  keys: (kid: string) => string | undefined | Promise<string | undefined>;
  clock?: Clock;
  /** How far the signer's clock may be off. Default 0. */
  toleranceSeconds?: number;
}

/** What a verified token says. Times in seconds since 1970. */
export type TokenClaims = JWTPayload & { iss: string; aud: string | string[]; sub: string; iat: number; exp: number };

/** Makes a signed token (JWT). */
export async function signToken(request: TokenRequest): Promise<string> {
  const issuedAt = Math.floor((request.clock ?? systemClock).now().getTime() / 1000);
  return new SignJWT({ ...request.claims })
    .setProtectedHeader({ alg: ALGORITHM, kid: request.keyId })
    .setAudience(request.audience)
    .setIssuer(request.issuer)
    .setSubject(request.subject)
    .setIssuedAt(issuedAt)
    .setExpirationTime(issuedAt + request.expiresInSeconds)
    .sign(ed25519PrivateKey(request.privateKey));
}

/**
 * Checks a token's algorithm, key, signature, issuer, audience and expiry, all of which are required.
 *
 * @throws TOKEN_ALG, TOKEN_KEY_UNKNOWN, TOKEN_AUDIENCE, TOKEN_EXPIRY_REQUIRED, TOKEN_EXPIRED; TOKEN_INVALID for the rest.
 */
export async function verifyToken(token: string, expected: TokenExpectation): Promise<TokenClaims> {
  try {
    const { payload } = await jwtVerify(
      token,
      async ({ kid }) => {
        // A header is unchecked JSON, whatever its type says.
        const publicKey = typeof kid === "string" ? await expected.keys(kid) : undefined;
        if (publicKey === undefined) throw new XVaultError("TOKEN_KEY_UNKNOWN");
        return ed25519PublicKey(publicKey);
      },
      {
        algorithms: [ALGORITHM],
        audience: expected.audience,
        issuer: expected.issuer,
        requiredClaims: ["exp", "iat", "sub"],
        currentDate: (expected.clock ?? systemClock).now(),
        clockTolerance: expected.toleranceSeconds ?? 0,
      },
    );
    if (typeof payload.sub !== "string") throw new XVaultError("TOKEN_INVALID", "The token's subject is not text.");
    return payload as TokenClaims;
  } catch (cause) {
    if (cause instanceof errors.JOSEError) throw new XVaultError(codeOf(cause), undefined, { cause });
    throw cause;
  }
}

function codeOf(error: errors.JOSEError): ErrorCode {
  if (error instanceof errors.JOSEAlgNotAllowed) return "TOKEN_ALG";
  if (error instanceof errors.JWTExpired) return "TOKEN_EXPIRED";
  if (error instanceof errors.JWTClaimValidationFailed) {
    if (error.claim === "exp") return "TOKEN_EXPIRY_REQUIRED";
    if (error.claim === "aud") return "TOKEN_AUDIENCE";
  }
  return "TOKEN_INVALID";
}
