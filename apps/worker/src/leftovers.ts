import type { HubClient } from "./hub-client.ts";
import type { ObjectStore } from "@xvault/storage";
import type { Logger } from "@xvault/platform";

const BATCH = 500;

/** Temporary files of other workers on a shared storage may be in use; older ones are not. Milliseconds. */
const STALE = 24 * 60 * 60_000;

/**
 * Removes what attempts left behind that this worker did not live to finish: directories without a manifest that the hub knows nothing of.
 * Runs at start, before any job does. A directory with a manifest (or the tombstone of one) is a whole, signed snapshot and is never removed here, whatever the hub
 * knows: the hub may have lost its database, and then that snapshot is what it will be recovered from.
 */
export async function sweepLeftovers(store: ObjectStore, hub: HubClient, log: Logger): Promise<void> {
  await store.sweepTemporary(STALE);
  const found = new Map<string, { directory: string; whole: boolean }>();
  for await (const { key } of store.list("backups")) {
    const [, directory, id, object] = /^(backups\/[^/]+\/[^/]+\/([^/]+))\/(.+)$/.exec(key) ?? [];
    if (!directory || !id) continue;
    const entry = found.get(id) ?? { directory, whole: false };
    if (object === "manifest.json" || object === "tombstone.json") entry.whole = true;
    found.set(id, entry);
  }
  const ids = [...found.keys()];
  for (let at = 0; at < ids.length; at += BATCH) {
    const some = ids.slice(at, at + BATCH);
    const { known, pending } = await hub.insist("reconcile", { snapshot_ids: some });
    const kept = new Set([...known, ...pending]);
    for (const id of some) {
      const entry = found.get(id);
      if (!entry || kept.has(id)) continue;
      if (entry.whole) {
        log.warn({ snapshotId: id }, "the storage has a whole snapshot that the hub does not know; it is left alone");
        continue;
      }
      log.warn({ snapshotId: id }, "removing the leftovers of an attempt that was never finished");
      await store.removeTree(entry.directory);
    }
  }
}
