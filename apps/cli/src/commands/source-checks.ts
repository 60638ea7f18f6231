import type { PreflightCheckMessage, StorageCheck } from "@xvault/contracts";
import { EXIT } from "../exit-codes.ts";
import type { Output } from "../output.ts";

const MARK = { ok: "ok     ", warning: "warning", failed: "FAILED ", skipped: "skipped" } as const;

/** Prints what a test of a connection or a storage found, check by check; the exit code that it means. */
export function showChecks(
  output: Output,
  result: { ok: boolean; checks: (PreflightCheckMessage | StorageCheck)[] },
): number {
  for (const check of result.checks) {
    output.message("check", check);
    output.line(`${MARK[check.status]}  ${check.label}: ${check.message}`);
    if (check.fix && check.status !== "ok") output.line(`         fix: ${check.fix}`);
  }
  if (!result.ok) return EXIT.failed;
  return result.checks.some((check) => check.status === "warning") ? EXIT.warning : EXIT.ok;
}
