import { isXVaultError } from "@xvault/kernel";
import { Secret } from "./secret.ts";

const HIDDEN = "[secret]";
const MAX_DEPTH = 8;
const MAX_CAUSES = 6;

/** Names of fields whose value is never logged, wherever they stand. Compared without case, dashes and underscores. */
const SECRET_NAMES =
  /^(x?authorization|.*cookies?|.*passw(or)?d|.*passphrase|.*private_?key|.*secret(s|key)?|.*tokens?|.*identit(y|ies)|.*ticket|.*filekeys?|.*kek|.*credentials?|.*apikey|otp|totp|recoverycodes?|databaseurl|redisurl|queueurl|connectionstring)$/;

/** Secrets that give themselves away by their form, in any text: age identities, PEM private keys, passwords inside URLs. */
const SECRET_FORMS: [RegExp, string][] = [
  [/AGE-SECRET-KEY-[A-Z0-9-]+/gi, HIDDEN],
  [/-----BEGIN ([A-Z0-9 ]*)PRIVATE KEY-----[\s\S]*?(-----END [A-Z0-9 ]*PRIVATE KEY-----|$)/g, HIDDEN],
  [/\b([a-z][a-z0-9+.-]*:\/\/[^\s/:@"]*):[^\s/@"]+@/gi, `$1:${HIDDEN}@`],
];

/** True when a field of this name is never logged. */
function isSecretName(name: string): boolean {
  return SECRET_NAMES.test(name.toLowerCase().replaceAll(/[-_]/g, ""));
}

/** Text without the secrets that can be told by their form. */
export function scrubText(text: string): string {
  let clean = text;
  for (const [form, replacement] of SECRET_FORMS) clean = clean.replace(form, replacement);
  return clean;
}

/** A copy of `value` fit for a log: secret fields hidden, errors described, bytes counted, cycles and great depths cut. */
export function scrub(value: unknown, depth = 0, seen: ReadonlySet<object> = new Set()): unknown {
  if (typeof value === "string") return scrubText(value);
  if (typeof value === "bigint") return value.toString();
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Secret) return HIDDEN;
  if (value instanceof Error) return describeError(value, depth, seen);
  if (value instanceof Date) return value;
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return `[${value.byteLength} bytes]`;
  if (seen.has(value)) return "[cycle]";
  if (depth >= MAX_DEPTH) return "[deep]";
  const within = new Set(seen).add(value);
  if (Array.isArray(value)) return value.map((item) => scrub(item, depth + 1, within));
  if (value instanceof URL) return scrubText(value.href);
  const copy: Record<string, unknown> = {};
  for (const [name, item] of Object.entries(value)) {
    copy[name] = isSecretName(name) && item != null ? HIDDEN : scrub(item, depth + 1, within);
  }
  return copy;
}

/**
 * An error for a log: type, code, message, stack and the chain of causes. Nothing else of it is printed, because drivers hang whole
 * rows, requests and connection options on theirs.
 */
function describeError(error: Error, depth: number, seen: ReadonlySet<object>): Record<string, unknown> {
  const described: Record<string, unknown> = { type: error.name, message: scrubText(error.message) };
  if ("code" in error && (typeof error.code === "string" || typeof error.code === "number")) {
    described["code"] = error.code;
  }
  if (isXVaultError(error)) {
    described["retry"] = error.retry;
    if (error.data) described["data"] = scrub(error.data, depth + 1, seen);
  }
  if (error.stack) described["stack"] = scrubText(error.stack);
  if (error.cause === undefined) return described;
  if (seen.size >= MAX_CAUSES || seen.has(error)) described["cause"] = "[more]";
  else described["cause"] = scrub(error.cause, depth + 1, new Set(seen).add(error));
  return described;
}
