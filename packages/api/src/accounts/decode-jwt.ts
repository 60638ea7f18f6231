/**
 * The claims of a JWT without any check, to find out whose key must verify it. Null for what is no JWT. Nothing may be believed of it
 * before `verifyToken` has passed.
 */
export function decodeJwt(token: string): { iss?: string; sub?: string } | null {
  const [, payload] = token.split(".");
  if (payload === undefined) return null;
  try {
    const claims: unknown = JSON.parse(Buffer.from(payload, "base64url").toString("utf8"));
    if (typeof claims !== "object" || claims === null) return null;
    return { ...textOf(claims, "iss"), ...textOf(claims, "sub") };
  } catch {
    return null;
  }
}

function textOf(claims: object, name: string): Record<string, string> {
  const value: unknown = Object.entries(claims).find(([key]) => key === name)?.[1];
  return typeof value === "string" ? { [name]: value } : {};
}
