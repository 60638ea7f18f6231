import { XVaultError, type ErrorCode } from "@xvault/kernel";
import { showPath } from "../failures.ts";

const CODE_OF: Record<string, ErrorCode> = {
  ENOSPC: "SPACE_REQUIRED",
  EDQUOT: "SPACE_REQUIRED",
  EACCES: "PATH_DENIED",
  EPERM: "PATH_DENIED",
  EROFS: "PATH_DENIED",
  ELOOP: "ENTRY_THROUGH_SYMLINK",
};

const MESSAGE_OF: Partial<Record<ErrorCode, string>> = {
  SPACE_REQUIRED: "The target's disk is full",
  PATH_DENIED: "The target may not be written",
  ENTRY_THROUGH_SYMLINK: "The entry would be written through a symbolic link",
  STORAGE_FAILED: "The target could not be written",
};

/** The code that the system gave an error, if any. */
export function systemCode(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}

/** A failure of the file system as one of ours, naming the path; ours pass as they are. */
export function targetFailure(error: unknown, path: Buffer): unknown {
  const system = systemCode(error);
  if (error instanceof XVaultError || system === undefined) return error;
  const code = CODE_OF[system] ?? "STORAGE_FAILED";
  return new XVaultError(code, `${MESSAGE_OF[code]}: '${showPath(path)}' (${system}).`, {
    cause: error,
    data: { path: showPath(path), system },
    ...(code === "PATH_DENIED" ? { fix: "Choose a target that this user may write." } : {}),
  });
}
