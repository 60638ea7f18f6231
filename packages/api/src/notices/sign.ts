import { createHmac } from "node:crypto";

/** What webhook secrets begin with: found by scanners of leaked secrets. */
export const SECRET_PREFIX = "xvwh_";

/**
 * The value of `x-xvault-signature`: `t=…,v1=…`, where `v1` is the HMAC-SHA256 of `t`, a dot and the body, under the secret's text. The time
 * is part of it, so that an old delivery cannot be played back as a new one.
 */
export function signatureOf(secret: string, seconds: number, body: string): string {
  const mac = createHmac("sha256", secret).update(`${seconds}.${body}`).digest("hex");
  return `t=${seconds},v1=${mac}`;
}
