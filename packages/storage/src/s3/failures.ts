import { XVaultError } from "@xvault/kernel";
import { exists, missing, truncated } from "../failures.ts";

/** What the SDK's errors carry: a server's name for it, its status (none where no answer came), how often it was tried. */
interface SdkError extends Error {
  $metadata?: { httpStatusCode?: number; attempts?: number };
  code?: string;
}

const FULL = new Set(["QuotaExceeded", "XMinioStorageFull", "InsufficientStorage", "InsufficientCapacity"]);
/** Where the name says no more than that it is denied: Backblaze, Garage. */
const FULL_WORDS = /cap exceeded|quota is reached/i;
const WRONG_REGION = new Set([
  "PermanentRedirect",
  "AuthorizationHeaderMalformed",
  "IllegalLocationConstraintException",
]);
const UNKNOWN_KEY = new Set(["InvalidAccessKeyId", "InvalidAccessKey", "NoSuchAccessKey"]);
/** Answered with 400 by AWS. */
const OLD_TOKEN = new Set(["ExpiredToken", "InvalidToken"]);
const UNTRUSTED = /^(UNABLE_TO|DEPTH_ZERO|SELF_SIGNED|CERT_|ERR_TLS_CERT)/;
/** Damaged or lost on the way; the same call may succeed. */
const TRANSIENT = new Set([
  "RequestTimeout",
  "SlowDown",
  "XAmzContentSHA256Mismatch",
  "BadDigest",
  "IncompleteBody",
  "OperationAborted",
  "ConditionalRequestConflict",
]);

/** The HTTP status of a server's refusal, or 0 where no answer came. */
export function statusOf(error: unknown): number {
  return error instanceof Error ? ((error as SdkError).$metadata?.httpStatusCode ?? 0) : 0;
}

/** How often the SDK has sent what failed at last. */
export function attemptsOf(error: unknown): number {
  return error instanceof Error ? ((error as SdkError).$metadata?.attempts ?? 1) : 1;
}

/** True when the server has no such operation. */
export function notImplemented(error: unknown): boolean {
  return statusOf(error) === 501 || statusOf(error) === 405 || nameOf(error) === "NotImplemented";
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : "";
}

/** Ours, wherever it stands among the causes: an address that is refused comes wrapped by the SDK. */
function ours(error: unknown): XVaultError | null {
  for (let at = error; at instanceof Error; at = at.cause) if (at instanceof XVaultError) return at;
  return null;
}

/** A failure of an S3 call in our words; ours pass through. */
export function s3Error(error: unknown, operation: string, key: string, bucket: string): XVaultError {
  const own = ours(error);
  if (own) return own;
  const name = nameOf(error);
  const status = statusOf(error);
  if (name === "AbortError") return new XVaultError("CANCELLED", undefined, { cause: error });
  const data = { operation, key, bucket, ...(status ? { status } : {}), ...(name ? { system: name } : {}) };
  const told = (
    code: "STORAGE_FAILED" | "STORAGE_DENIED" | "SPACE_REQUIRED",
    message: string | undefined,
    fix?: string,
    retry = false,
  ) => new XVaultError(code, message, { data, cause: error, retry, ...(fix === undefined ? {} : { fix }) });

  // By name before status: servers answer 403 to a full bucket and to a wrong clock.
  if (FULL.has(name) || status === 507 || FULL_WORDS.test(messageOf(error))) return told("SPACE_REQUIRED", undefined);
  if (name === "NoSuchBucket") return noBucket(bucket, data, error);
  if (name === "NoSuchKey" || status === 404) return missing(key);
  if (name === "InvalidRange" || status === 416) return truncated(key);
  if (status === 412) return exists(key);
  if (name === "RequestTimeTooSkewed") {
    return told(
      "STORAGE_FAILED",
      "The storage refuses requests because the worker's clock differs from its own.",
      "Set the worker's clock (NTP).",
    );
  }
  if (name === "InvalidObjectState") {
    return told(
      "STORAGE_FAILED",
      "The object lies in an archive class and cannot be read now.",
      "Thaw it at the provider, then try again; choose another storage class.",
    );
  }
  if (WRONG_REGION.has(name) || status === 301) {
    return told(
      "STORAGE_FAILED",
      `The bucket '${bucket}' is not in this region.`,
      "Correct the region in the storage's settings.",
    );
  }
  if (status === 401 || status === 403 || OLD_TOKEN.has(name))
    return told("STORAGE_DENIED", ...denial(name, operation, bucket));
  if (TRANSIENT.has(name) || status === 0 || status === 408 || status === 429 || status >= 500) {
    return told(
      "STORAGE_FAILED",
      ...outage(error, operation, status),
      status !== 0 || !UNTRUSTED.test(systemCode(error)),
    );
  }
  return told("STORAGE_FAILED", `The storage failed to ${operation} (${name || status}).`);
}

function denial(name: string, operation: string, bucket: string): [message: string, fix: string] {
  if (UNKNOWN_KEY.has(name))
    return ["The storage does not know this access key.", "Correct the access key in the storage's settings."];
  if (name === "SignatureDoesNotMatch")
    return ["The secret key does not belong to the access key.", "Correct the secret key in the storage's settings."];
  if (OLD_TOKEN.has(name)) return ["The session token is not valid any more.", "Get a new one."];
  return [
    `The storage does not allow to ${operation} in '${bucket}'.`,
    "Check the secret key, and that the access key has the rights that docs/storage.md names, on this bucket and prefix.",
  ];
}

function outage(error: unknown, operation: string, status: number): [message: string, fix: string | undefined] {
  const code = systemCode(error);
  if (status !== 0) return [`The storage failed to ${operation} (status ${status}).`, undefined];
  if (UNTRUSTED.test(code)) {
    return [
      `The storage's certificate is not trusted (${code}).`,
      "Give the certificate of the authority that signed it, or correct the endpoint's host name.",
    ];
  }
  if (code === "ENOTFOUND" || code === "EAI_AGAIN")
    return ["The storage's host name could not be resolved.", "Check the endpoint's spelling."];
  return [`The storage did not answer${code ? ` (${code})` : ""}.`, "Check the endpoint's address, port and firewall."];
}

/** Not to be taken for a missing object. */
function noBucket(bucket: string, data: XVaultError["data"], cause: unknown): XVaultError {
  return new XVaultError("STORAGE_FAILED", `There is no bucket '${bucket}'.`, {
    fix: "Make it at the provider, or correct the bucket's name in the storage's settings.",
    retry: false,
    data,
    cause,
  });
}

/** Named by Node (`ECONNREFUSED`), possibly of one of several addresses that were tried. */
function systemCode(error: unknown): string {
  for (let at = error; at instanceof Error; at = at.cause) {
    const code = (at as SdkError).code;
    if (typeof code === "string") return code;
    if (at instanceof AggregateError && at.errors.length > 0) return systemCode(at.errors[0]);
  }
  return nameOf(error) === "TimeoutError" ? "ETIMEDOUT" : "";
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : "";
}
