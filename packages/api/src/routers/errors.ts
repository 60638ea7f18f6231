import type { ErrorCode } from "@xvault/kernel";

/** What the reading of a stored snapshot can come to before any of its bytes is read. */
export const OF_COPIES: readonly ErrorCode[] = ["NO_WORKER", "ARTIFACT_MISSING"];

/** What a question that is put to a worker can come to, whatever it asks. */
export const OF_QUESTIONS: readonly ErrorCode[] = ["NO_WORKER", "UNAVAILABLE", "CANCELLED"];

/** What a worker meets on its way into a server. */
export const OF_LOGINS: readonly ErrorCode[] = [
  "TARGET_FORBIDDEN",
  "HOST_UNRESOLVED",
  "HOST_UNREACHABLE",
  "CONNECTION_LOST",
  "HOST_KEY_CHANGED",
  "LOGIN_REFUSED",
  "REMOTE_FAILED",
];

/** What a worker finds wrong with a stored snapshot that it opens. */
export const OF_STORED_BYTES: readonly ErrorCode[] = [
  "SIGNATURE_INVALID",
  "SIGNER_REVOKED",
  "MANIFEST_TENANT_MISMATCH",
  "ARTIFACT_CORRUPT",
  "ARCHIVE_MALFORMED",
  "ARCHIVE_TRUNCATED",
  "STORAGE_DENIED",
];

export const OF_SCHEDULES: readonly ErrorCode[] = ["SCHEDULE_INVALID", "SCHEDULE_TOO_FREQUENT"];
