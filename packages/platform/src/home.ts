import { homedir } from "node:os";
import { join, resolve } from "node:path";
import type { Environment } from "./config.ts";

/**
 * The directory that xVault keeps its data in: `XVAULT_HOME`; else `/var/lib/xvault` for root, else the XDG data directory.
 * Absolute; not created here.
 */
export function xvaultHome(env: Environment = process.env): string {
  if (env["XVAULT_HOME"]) return resolve(env["XVAULT_HOME"]);
  if (process.getuid?.() === 0) return "/var/lib/xvault";
  return join(env["XDG_DATA_HOME"] || join(env["HOME"] || homedir(), ".local", "share"), "xvault");
}
