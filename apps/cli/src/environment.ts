import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { XVaultError } from "@xvault/kernel";

/** What the command line takes from the process's environment. This file is the only one that reads it. */
export interface Environment {
  /** XVAULT_URL: the hub to talk to, instead of the one that was signed in to. */
  url: string | undefined;
  /** XVAULT_TOKEN, or the content of XVAULT_TOKEN_FILE. */
  token: string | undefined;
  /** XVAULT_S3_ACCESS_KEY_ID, XVAULT_S3_SECRET_ACCESS_KEY and XVAULT_S3_SESSION_TOKEN: what opens a bucket that is read without the hub. */
  bucketKey: { id: string | undefined; secret: string | undefined; sessionToken: string | undefined };
  /** Where the sign-in is kept: $XDG_CONFIG_HOME/xvault/config.json. */
  configFile: string;
  /** XVAULT_DEBUG=1: show stacks. */
  debug: boolean;
}

export const ENVIRONMENT_HELP = `Environment: XVAULT_URL and XVAULT_TOKEN go before the sign-in that 'login' keeps (in $XDG_CONFIG_HOME/xvault); each may
stand in a file named by XVAULT_URL_FILE or XVAULT_TOKEN_FILE. XVAULT_S3_ACCESS_KEY_ID and XVAULT_S3_SECRET_ACCESS_KEY (or their _FILE twins)
open the bucket that 'recover' reads. XVAULT_DEBUG=1 shows the stack of a failure.`;

type Variables = Readonly<Record<string, string | undefined>>;

/**
 * Reads the environment. Each value may stand in a file named by its `_FILE` twin instead.
 *
 * @throws CONFIG_INVALID when both are set, or the file cannot be read.
 */
export function readEnvironment(variables: Variables = process.env): Environment {
  const home = variables["XDG_CONFIG_HOME"] || join(variables["HOME"] || homedir(), ".config");
  return {
    url: valueOf(variables, "XVAULT_URL"),
    token: valueOf(variables, "XVAULT_TOKEN"),
    bucketKey: {
      id: valueOf(variables, "XVAULT_S3_ACCESS_KEY_ID"),
      secret: valueOf(variables, "XVAULT_S3_SECRET_ACCESS_KEY"),
      sessionToken: valueOf(variables, "XVAULT_S3_SESSION_TOKEN"),
    },
    configFile: join(home, "xvault", "config.json"),
    debug: ["1", "true"].includes(variables["XVAULT_DEBUG"] ?? ""),
  };
}

function valueOf(variables: Variables, name: string): string | undefined {
  const value = variables[name];
  const file = variables[`${name}_FILE`];
  if (!file) return value || undefined;
  if (value) {
    throw new XVaultError("CONFIG_INVALID", `Both ${name} and ${name}_FILE are set.`, { fix: "Set one of the two." });
  }
  try {
    return readFileSync(file, "utf8").trim() || undefined;
  } catch (cause) {
    throw new XVaultError("CONFIG_INVALID", `${name}_FILE names ${file}, which cannot be read.`, {
      fix: "Name a file that this user may read.",
      cause,
    });
  }
}
