import { type ErrorCode, XVaultError } from "@xvault/kernel";

/** How the program ends, as its users know it from other backup programs. */
export const EXIT = {
  ok: 0,
  failed: 1,
  /** The command line itself is wrong. */
  usage: 2,
  /** It worked, but a part of the source could not be read, or a part of what is stored is damaged. */
  warning: 3,
  notFound: 10,
  locked: 11,
  wrongKey: 12,
  cancelled: 130,
} as const;

export const EXIT_CODES_HELP = `Exit codes: 0 ok, 1 failed, 2 wrong usage, 3 done with warnings (a part could not be read),
10 not found, 11 in use by something else, 12 wrong or missing key, 130 cancelled.`;

const OF_CODE: Partial<Record<ErrorCode, number>> = {
  NOT_FOUND: EXIT.notFound,
  ARTIFACT_MISSING: EXIT.notFound,
  CONFLICT: EXIT.locked,
  OBJECT_LOCKED: EXIT.locked,
  SNAPSHOT_NEEDED: EXIT.locked,
  KEY_MISMATCH: EXIT.wrongKey,
  KEY_CUSTOMER_HELD: EXIT.wrongKey,
  IDENTITY_INVALID: EXIT.wrongKey,
  CANCELLED: EXIT.cancelled,
};

/** A mistake in the command line. Shown with a pointer to `--help`. */
export class UsageError extends Error {}

export function exitCodeOf(error: unknown): number {
  if (error instanceof UsageError) return EXIT.usage;
  if (error instanceof XVaultError) return OF_CODE[error.code] ?? EXIT.failed;
  return EXIT.failed;
}
