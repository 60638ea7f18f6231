import type { SourceOptions } from "@xvault/contracts";
import { XVaultError } from "@xvault/kernel";

type Limits = Pick<SourceOptions, "min_file_bytes" | "max_file_bytes" | "newer_than_seconds" | "older_than_seconds">;

/**
 * Refuses limits that nothing can keep to. Checked on what a source will have, not on a change of it: the two ends may come one by one.
 *
 * @throws INPUT_INVALID
 */
export function checkOptions(options: Limits): void {
  const { min_file_bytes: least, max_file_bytes: most, newer_than_seconds: newer, older_than_seconds: older } = options;
  if (least != null && most != null && least > most) {
    throw new XVaultError("INPUT_INVALID", "No file can be taken: min_file_bytes is larger than max_file_bytes.");
  }
  if (newer != null && older != null && older > newer) {
    throw new XVaultError(
      "INPUT_INVALID",
      "No file can be taken: older_than_seconds is larger than newer_than_seconds.",
    );
  }
}
