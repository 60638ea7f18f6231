import type { Keyring } from "@xvault/crypto";
import type { Database } from "@xvault/db";
import type { Clock } from "@xvault/kernel";
import type { Logger } from "@xvault/platform";
import type { SessionGuard } from "../http/index.ts";
import type { Services } from "../services.ts";
import { createTokenService } from "./api-tokens.ts";
import { type AttemptLimits, createAttemptLimiter } from "./attempt-limits.ts";
import { createAuditService } from "./audit-service.ts";
import { createAuthService } from "./auth-service.ts";
import { createSessionGuard } from "./authenticate.ts";
import { createKeyService } from "./key-service.ts";
import type { PlatformKeys } from "./platform-keys.ts";
import { createSystemService } from "./system-service.ts";
import { createTenantVault } from "./tenant-vault.ts";
import { createWorkspaceService } from "./workspace-service.ts";

export { ensurePlatformAdmin } from "./platform-admin.ts";
export { loadPlatformKeys, type PlatformKeys } from "./platform-keys.ts";
export { createTenant } from "./tenant-keys.ts";
export { createTenantVault, type TenantVault } from "./tenant-vault.ts";

export interface AccountsDeps {
  db: Database;
  keyring: Keyring;
  platformKeys: PlatformKeys;
  clock: Clock;
  config: { baseUrl: string; allowSignup: boolean };
  version: string;
  /** Whether this hub shows the demo workspace. */
  demo: boolean;
  limits?: AttemptLimits;
  /** Hears when a failed sign-in could not be written into the audit log. */
  log?: Logger;
}

export type Accounts = Pick<Services, "auth" | "workspaces" | "tokens" | "audit" | "keys" | "system"> & {
  /** For `createHttpApp`. */
  sessions: SessionGuard;
};

/** All services about people, workspaces, tokens and keys. */
export function createAccounts(deps: AccountsDeps): Accounts {
  const { db, keyring, platformKeys: keys, clock, config, version, demo } = deps;
  const { allowSignup, baseUrl } = config;
  const vault = createTenantVault({ keyring });
  const limiter = createAttemptLimiter(deps.limits);
  return {
    auth: createAuthService({ db, keyring, vault, keys, clock, limiter, allowSignup, log: deps.log }),
    workspaces: createWorkspaceService({ db, clock }),
    tokens: createTokenService({ db, clock }),
    audit: createAuditService({ db }),
    keys: createKeyService({ db, vault, keys, clock, baseUrl }),
    system: createSystemService({ db, keys, clock, version, allowSignup, demo }),
    sessions: createSessionGuard({ db, keys, clock }),
  };
}
