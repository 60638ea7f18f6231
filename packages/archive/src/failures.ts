import { XVaultError } from "@xvault/kernel";

/** The bytes do not follow their format. */
export function malformed(what: string, cause?: unknown): XVaultError {
  return new XVaultError("ARCHIVE_MALFORMED", `The archive does not follow its format: ${what}.`, { cause });
}

/** The bytes end before they should. */
export function truncated(what: string): XVaultError {
  return new XVaultError("ARCHIVE_TRUNCATED", `The archive ends too early: ${what}.`);
}

/** The bytes are well placed but are not those that were written. */
export function corrupt(what: string, data?: Record<string, string | number>, cause?: unknown): XVaultError {
  return new XVaultError("ARTIFACT_CORRUPT", `The stored bytes are not those that were written: ${what}.`, {
    ...(data ? { data } : {}),
    cause,
  });
}

/** A path for a message: UTF-8 with what is not shown as U+FFFD, control characters escaped, cut at 300 characters. */
export function showPath(path: Buffer): string {
  const text = JSON.stringify(path.toString("utf8")).slice(1, -1);
  return text.length > 300 ? `${text.slice(0, 299)}…` : text;
}

/** Throws `CANCELLED` when the signal has fired. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new XVaultError("CANCELLED", undefined, { cause: signal.reason });
}
