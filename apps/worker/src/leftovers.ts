import type { HubClient } from "./hub-client.ts";
import type { ObjectStore } from "@xvault/storage";
import type { Logger } from "@xvault/platform";

const BATCH = 500;

/**
 * Removes what attempts left behind that this worker did not live to finish: snapshots that the hub never published. Runs at start, before
 * any job does, so nothing that is being written can be meant. What the hub knows, or still waits for, stays.
 */
export async function sweepLeftovers(store: ObjectStore, hub: HubClient, log: Logger): Promise<void> {
  await store.sweepTemporary(0);
  const found = new Map<string, string>();
  for await (const { key } of store.list("backups")) {
    const match = /^backups\/[^/]+\/[^/]+\/([^/]+)\//.exec(key);
    if (match?.[1]) found.set(match[1], match[0].slice(0, -1));
  }
  const ids = [...found.keys()];
  for (let at = 0; at < ids.length; at += BATCH) {
    const some = ids.slice(at, at + BATCH);
    const { known, pending } = await hub.insist("reconcile", { snapshot_ids: some });
    const kept = new Set([...known, ...pending]);
    for (const id of some) {
      const directory = found.get(id);
      if (kept.has(id) || directory === undefined) continue;
      log.warn({ snapshotId: id }, "removing the leftovers of an attempt that was never published");
      await store.removeTree(directory);
    }
  }
}
