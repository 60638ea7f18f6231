import { join } from "node:path";

/** The xVault that the tests talk to: started once, by the global setup, as a newcomer starts it. */
export interface RunningStack {
  url: string;
  /** The worker's listener, the only other origin that a page may talk to. */
  dataUrl: string;
  adminEmail: string;
  adminPassword: string;
  /** For what the tests make: servers, trees, downloads. Removed at the end. */
  folder: string;
}

/** The repository's root folder. */
export const ROOT = join(import.meta.dirname, "../../..");

const VARIABLE = "XVAULT_E2E_STACK";

/** Hands the stack to the processes that run the tests. */
export function announceStack(stack: RunningStack): void {
  process.env[VARIABLE] = JSON.stringify(stack);
}

/** The stack that the global setup has started. */
export function runningStack(): RunningStack {
  const text = process.env[VARIABLE];
  if (!text) throw new Error("the stack was not started: run the tests by Playwright, with e2e/playwright.config.ts");
  return JSON.parse(text) as RunningStack;
}
