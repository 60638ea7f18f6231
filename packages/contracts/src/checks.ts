import type { ErrorCode } from "@xvault/kernel";

/** Errors that are findings about a stored snapshot: what lies there is gone, or not what was stored. Every other one says nothing about it. */
export const DAMAGE_CODES: readonly ErrorCode[] = [
  "ARTIFACT_MISSING",
  "ARTIFACT_CORRUPT",
  "ARCHIVE_MALFORMED",
  "ARCHIVE_TRUNCATED",
  "TRAILING_DATA",
  "SIGNATURE_INVALID",
  "MANIFEST_TENANT_MISMATCH",
  "WINDOW_TOO_LARGE",
  "EXPANSION_LIMIT",
];
