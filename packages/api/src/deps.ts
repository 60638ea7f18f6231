import type { Keyring } from "@xvault/crypto";
import type { Clock } from "@xvault/kernel";
import type { Database } from "@xvault/db";
import type { Logger } from "@xvault/platform";
import type { JobQueue } from "@xvault/queue";
import type { PlatformKeys, TenantVault } from "./accounts/index.ts";
import type { JobFeed } from "./jobs/feed.ts";

/** What the services of this package are made of; put together once, in the hub. */
export interface ServiceDeps {
  db: Database;
  queue: JobQueue;
  feed: JobFeed;
  vault: TenantVault;
  /** Opens what the operator's own storages need; tenants' secrets go by the vault. */
  keyring: Keyring;
  platformKeys: PlatformKeys;
  clock: Clock;
  log: Logger;
}
