import { and, count, type Database, gt, ne, workers } from "@xvault/db";
import type { Clock } from "@xvault/kernel";
import type { SystemService } from "../services.ts";
import type { PlatformKeys } from "./platform-keys.ts";

/** A worker that was not heard of for this long counts as offline. Milliseconds. */
const OFFLINE_AFTER = 45_000;

/** What anybody may know of this hub. */
export function createSystemService(deps: {
  db: Database;
  keys: PlatformKeys;
  clock: Clock;
  version: string;
  allowSignup: boolean;
  demo: boolean;
}): SystemService {
  return {
    async info() {
      const since = new Date(deps.clock.now().getTime() - OFFLINE_AFTER);
      const [online] = await deps.db.withSystem((tx) =>
        tx
          .select({ count: count() })
          .from(workers)
          .where(and(gt(workers.lastSeenAt, since), ne(workers.state, "revoked"))),
      );
      return {
        version: deps.version,
        signup: deps.allowSignup,
        root_keys: deps.keys.rootPublicKeys,
        workers_online: online?.count ?? 0,
        demo: deps.demo,
      };
    },
  };
}
