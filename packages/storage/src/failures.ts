import { XVaultError } from "@xvault/kernel";

/** The system's code of a failed call (`ENOENT`), or '' where there is none. */
function systemCode(error: unknown): string {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
}

/** A failure of the file system in our words; ours pass through. */
export function storageError(error: unknown, operation: string, key: string): XVaultError {
  if (error instanceof XVaultError) return error;
  const code = systemCode(error);
  const data = { operation, key, ...(code ? { system: code } : {}) };
  if (code === "ENOSPC" || code === "EDQUOT")
    return new XVaultError("SPACE_REQUIRED", undefined, { data, cause: error });
  return new XVaultError("STORAGE_FAILED", `The storage failed to ${operation}${code ? ` (${code})` : ""}.`, {
    data,
    cause: error,
  });
}

/** Runs one operation, translating its failure. */
export async function guarded<T>(operation: string, key: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    throw storageError(error, operation, key);
  }
}

export function exists(key: string): XVaultError {
  return new XVaultError("OBJECT_EXISTS", undefined, { data: { key } });
}

export function missing(key: string): XVaultError {
  return new XVaultError("ARTIFACT_MISSING", undefined, { data: { key } });
}

export function tooLarge(key: string, limitBytes: number): XVaultError {
  return new XVaultError("ARTIFACT_CORRUPT", "A stored object is larger than its kind may be.", {
    data: { key, limitBytes },
  });
}

/** Throws `ARCHIVE_TRUNCATED` unless `length` bytes lie at `offset` of an object of `size` bytes. */
export function checkRange(key: string, size: number, offset: number, length: number): void {
  if (offset < 0 || length < 0 || offset + length > size) throw truncated(key);
}

export function truncated(key: string): XVaultError {
  return new XVaultError("ARCHIVE_TRUNCATED", "A stored object is shorter than it should be.", { data: { key } });
}

/** A write to a writer that has ended. */
export function ended(key: string): XVaultError {
  return new XVaultError("STORAGE_FAILED", "The writer of this object has ended already.", {
    data: { key },
    retry: false,
  });
}
