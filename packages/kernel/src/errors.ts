import { ERROR_CODES, type ErrorCode } from "./error-codes.ts";

/** What crosses a process border of an error: everything a person needs, nothing that is secret. */
export interface ErrorReport {
  code: ErrorCode;
  /** One sentence: what went wrong. */
  message: string;
  /** One sentence: what the reader should do. */
  fix: string;
  /** True when the same call may succeed later without anyone changing anything. */
  retry: boolean;
  /** Names the step of a job, the path or field concerned. Never a secret. */
  data?: Record<string, string | number | boolean | null> | undefined;
  requestId?: string | undefined;
}

/**
 * The one error class that code of ours throws on purpose. `message` and `fix` are shown to people; `cause` stays in logs.
 */
export class XVaultError extends Error {
  readonly code: ErrorCode;
  readonly fix: string;
  readonly retry: boolean;
  readonly status: number;
  readonly data: ErrorReport["data"];

  constructor(
    code: ErrorCode,
    message?: string,
    options: { fix?: string; retry?: boolean; data?: ErrorReport["data"]; cause?: unknown } = {},
  ) {
    const known = ERROR_CODES[code];
    super(message ?? known.message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "XVaultError";
    this.code = code;
    this.fix = options.fix ?? known.fix;
    this.retry = options.retry ?? known.retry ?? false;
    this.status = known.status;
    this.data = options.data;
  }

  report(requestId?: string): ErrorReport {
    return {
      code: this.code,
      message: this.message,
      fix: this.fix,
      retry: this.retry,
      ...(this.data ? { data: this.data } : {}),
      ...(requestId ? { requestId } : {}),
    };
  }

  /** Rebuilds an error that another process reported. */
  static fromReport(report: ErrorReport): XVaultError {
    const code = report.code in ERROR_CODES ? report.code : "INTERNAL";
    return new XVaultError(code, report.message, { fix: report.fix, retry: report.retry, data: report.data });
  }
}

/** True when `error` is ours and carries one of `codes` (any code when none is named). */
export function isXVaultError(error: unknown, ...codes: ErrorCode[]): error is XVaultError {
  return error instanceof XVaultError && (codes.length === 0 || codes.includes(error.code));
}

/** Any thrown thing as an {@link XVaultError}: ours as it is, others as `INTERNAL` with the original as cause. */
export function toXVaultError(error: unknown): XVaultError {
  if (error instanceof XVaultError) return error;
  return new XVaultError("INTERNAL", undefined, { cause: error });
}
