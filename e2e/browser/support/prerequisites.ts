import { existsSync } from "node:fs";
import { sshdAvailable } from "@xvault/test-kit/ssh";

/** Debian's browser. */
export const CHROMIUM = "/usr/bin/chromium";

/** Why the browser tests cannot run here, or null when they can. */
export const missing: string | null = existsSync(CHROMIUM)
  ? sshdAvailable()
  : `${CHROMIUM} is not installed (Debian: chromium)`;
