import type { Manifest, WorkerInput } from "@xvault/contracts";
import { parseManifest } from "@xvault/crypto";
import { keysOf, type SnapshotPlace } from "@xvault/engine";
import { isId, toXVaultError } from "@xvault/kernel";
import type { ObjectStore } from "@xvault/storage";
import { join } from "node:path";
import type { WorkerContext } from "./context.ts";
import { checkStored } from "./jobs/unseal.ts";
import { locationOn, type OpenStore } from "./stores.ts";

const BATCH = 500;

/** Temporary files of other workers on a shared storage may be in use; older ones are not. Milliseconds. */
const STALE = 24 * 60 * 60_000;
const MAX_MANIFEST = 16 * 1024 * 1024;
const MANIFEST = "manifest.json";

/** A storage that is looked through, and what the hub is told of a copy that lies there. */
interface Ground {
  store: ObjectStore;
  stored(directory: string): WorkerInput<"adopt">["stored"][number];
}

/**
 * Settles what attempts left behind on this worker's own disk that it did not live to finish. Runs at start, before any job does.
 *
 * A directory without a manifest or tombstone that the hub knows nothing of is removed. One with a manifest is a whole, signed snapshot: it is handed in,
 * and is removed only when the hub says for certain that its attempt is over and was never published, and nothing on this storage builds on
 * it. A hub that has never heard of its job may have lost its database, and then that snapshot is what it will be recovered from.
 */
export async function settleLeftovers(context: WorkerContext): Promise<void> {
  const { store, config } = context;
  await store.sweepTemporary(STALE);
  const ground: Ground = {
    store,
    stored: (directory) => ({ storage_id: null, location: join(config.storagePath, directory), locked_until: null }),
  };
  for await (const tenant_id of idsBelow(store, "backups")) {
    for await (const source_id of idsBelow(store, `backups/${tenant_id}`)) {
      await settleSource(context, ground, { tenant_id, source_id });
    }
  }
}

/**
 * The same for one source on a storage that workers share, after a run: no other job of the source is at work then, so what the hub does not know
 * belongs to an attempt that is over. Never throws: the run went well, and the next one tries again.
 */
export async function settleAfterRun(
  context: WorkerContext,
  { ref, store }: Pick<OpenStore, "ref" | "store">,
  source: { tenant_id: string; source_id: string },
): Promise<void> {
  const ground: Ground = {
    store,
    stored: (directory) => ({ storage_id: ref.id, location: locationOn(context, ref, directory), locked_until: null }),
  };
  try {
    await settleSource(context, ground, source);
    await store.sweepTemporary(STALE, `backups/${source.tenant_id}/${source.source_id}`);
  } catch (error) {
    context.log.warn(
      { err: toXVaultError(error), storageId: ref.id },
      "what earlier attempts left cannot be looked for",
    );
  }
}

async function settleSource(
  context: WorkerContext,
  ground: Ground,
  source: { tenant_id: string; source_id: string },
): Promise<void> {
  const { store } = ground;
  const { hub, log } = context;
  const ids: string[] = [];
  // A directory counts even where an attempt died before it had finished one object there.
  for await (const id of idsBelow(store, `backups/${source.tenant_id}/${source.source_id}`)) ids.push(id);
  for (let at = 0; at < ids.length; at += BATCH) {
    const some = ids.slice(at, at + BATCH);
    const { known, pending } = await hub.insist("reconcile", { snapshot_ids: some });
    const kept = new Set([...known, ...pending]);
    for (const snapshot_id of some.filter((id) => !kept.has(id))) {
      const place = { ...source, snapshot_id };
      const keys = keysOf(place);
      // A manifest is written last: with one, the snapshot is whole. A tombstone stands where a whole one was removed on purpose.
      if (await store.stat(keys.manifest)) await handIn(context, ground, place);
      else if (await store.stat(keys.tombstone)) {
        log.warn(
          { snapshotId: snapshot_id },
          "the storage has the tombstone of a snapshot that the hub does not know; it is left alone",
        );
      } else {
        log.warn({ snapshotId: snapshot_id }, "removing the leftovers of an attempt that was never finished");
        await store.removeTree(keys.dir);
      }
    }
  }
}

async function* idsBelow(store: ObjectStore, prefix: string): AsyncGenerator<string> {
  for await (const name of store.folders(prefix)) if (isId(name)) yield name;
}

async function handIn(context: WorkerContext, { store, stored }: Ground, place: SnapshotPlace): Promise<void> {
  const { hub } = context;
  const directory = keysOf(place).dir;
  const log = context.log.child({ snapshotId: place.snapshot_id });
  try {
    // Signature, sizes, headers, index. The artifact was read back whole before its manifest was written.
    const { manifest } = await checkStored(context, store, place);
    const { outcome } = await hub.insist("adopt", { manifest, stored: [stored(directory)] });
    switch (outcome) {
      case "published":
        log.info("a snapshot that was stored when this worker died was handed in");
        return;
      case "waiting":
        log.info("a whole snapshot is left alone: whose it is will be known later");
        return;
      case "unknown":
        log.warn("the storage has a whole snapshot that the hub does not know; it is left alone");
        return;
      case "abandoned":
        if (await isBuiltOn(store, place)) {
          log.warn("a snapshot of an attempt that was given up is left alone: another one builds on it");
          return;
        }
        log.warn("removing the whole snapshot of an attempt that was given up before it was published");
        // The manifest first: without it, what a crash leaves of the rest is removed at the next start.
        await store.remove(`${directory}/${MANIFEST}`);
        await store.removeTree(directory);
    }
  } catch (error) {
    log.warn(
      { err: toXVaultError(error) },
      "a whole snapshot that the hub does not know cannot be handed in; it is left alone",
    );
  }
}

/** Whether a manifest of the same source on this storage names the snapshot, as its predecessor or as the holder of some of its bytes. */
async function isBuiltOn(store: ObjectStore, place: SnapshotPlace): Promise<boolean> {
  const names = ({ previous, references }: Manifest) =>
    [...(previous ? [previous] : []), ...references].some((one) => one.snapshot_id === place.snapshot_id);
  for await (const { key } of store.list(`backups/${place.tenant_id}/${place.source_id}`)) {
    if (!key.endsWith(`/${MANIFEST}`) || key.includes(place.snapshot_id)) continue;
    if (names(parseManifest(await store.readAll(key, MAX_MANIFEST)))) return true;
  }
  return false;
}
