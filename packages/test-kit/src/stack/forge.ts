import { generateSigningKey, signToken } from "@xvault/crypto";

/** The token as it is, key id included, but valid for ten minutes from now and signed by a key that nobody has ever seen. */
export async function forgeToken(token: string): Promise<string> {
  const [head, body] = token.split(".").map((part) => Buffer.from(part, "base64url").toString("utf8"));
  const { kid } = JSON.parse(head ?? "") as { kid: string };
  const { aud, iss, sub, ...claims } = JSON.parse(body ?? "") as { aud: string; iss: string; sub: string };
  return signToken({
    claims,
    audience: aud,
    issuer: iss,
    subject: sub,
    expiresInSeconds: 600,
    keyId: kid,
    privateKey: generateSigningKey().privateKey,
  });
}
