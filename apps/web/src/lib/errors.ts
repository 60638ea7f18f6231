import { TRPCClientError } from "@trpc/client";
import { errorReportSchema } from "@xvault/contracts";
import { ERROR_CODES, isXVaultError, toXVaultError, XVaultError, type ErrorReport } from "@xvault/kernel";

/** True for what `fetch` throws when nobody answers. */
function isNetworkFailure(error: unknown): boolean {
  return error instanceof TypeError && /fetch|network|load failed/i.test(error.message);
}

/** What a person gets to see of anything that was thrown: by the hub, by a worker, by the browser, or by our own code. */
export function reportOf(error: unknown): ErrorReport {
  if (error instanceof TRPCClientError) {
    const parsed = errorReportSchema.safeParse((error.data as { report?: unknown } | null | undefined)?.report);
    if (parsed.success) return parsed.data;
    // Without a report nothing of ours answered: the hub is down, or a proxy stands before it.
    return unreachable();
  }
  if (isXVaultError(error)) return error.report();
  if (isNetworkFailure(error)) return unreachable();
  return toXVaultError(error).report();
}

function unreachable(): ErrorReport {
  return new XVaultError("UNAVAILABLE", "xVault did not answer.", {
    fix: "Check your connection and that xVault is running, then try again.",
  }).report();
}

/** A worker's answer that is no success, as an error of ours. */
export async function errorOfResponse(response: Response): Promise<XVaultError> {
  const body: unknown = await response.json().catch(() => null);
  for (const candidate of [body, (body as { error?: unknown } | null)?.error]) {
    const known = errorReportSchema.safeParse(candidate);
    if (known.success) return XVaultError.fromReport(known.data);
    const code = (candidate as { code?: unknown } | null | undefined)?.code;
    if (typeof code === "string" && code in ERROR_CODES) return new XVaultError(code as keyof typeof ERROR_CODES);
  }
  return new XVaultError("UNAVAILABLE", `The worker answered with status ${response.status}.`);
}
