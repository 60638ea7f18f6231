import type { Manifest } from "@xvault/contracts";
import { parseManifest } from "@xvault/crypto";
import { keysOf, type SnapshotPlace } from "@xvault/engine";
import { isId, toXVaultError } from "@xvault/kernel";
import type { ObjectStore } from "@xvault/storage";
import { join } from "node:path";
import type { WorkerContext } from "./context.ts";
import { checkStored } from "./jobs/unseal.ts";

const BATCH = 500;

/** Temporary files of other workers on a shared storage may be in use; older ones are not. Milliseconds. */
const STALE = 24 * 60 * 60_000;
const MAX_MANIFEST = 16 * 1024 * 1024;
const MANIFEST = "manifest.json";

/** A snapshot's directory on the storage. */
interface Found {
  directory: string;
  place: SnapshotPlace;
  /** A manifest is written last: with one, the snapshot is whole. A tombstone stands where a whole one was removed on purpose. */
  has: "manifest" | "tombstone" | "neither";
}

/**
 * Settles what attempts left behind that this worker did not live to finish. Runs at start, before any job does.
 *
 * A directory without a manifest or tombstone that the hub knows nothing of is removed. One with a manifest is a whole, signed snapshot: it is handed in,
 * and is removed only when the hub says for certain that its attempt is over and was never published, and nothing on this storage builds on
 * it. A hub that has never heard of its job may have lost its database, and then that snapshot is what it will be recovered from.
 */
export async function settleLeftovers(context: WorkerContext): Promise<void> {
  const { store, hub, log } = context;
  await store.sweepTemporary(STALE);
  const found = await snapshotsOn(store);
  const ids = [...found.keys()];
  for (let at = 0; at < ids.length; at += BATCH) {
    const some = ids.slice(at, at + BATCH);
    const { known, pending } = await hub.insist("reconcile", { snapshot_ids: some });
    const kept = new Set([...known, ...pending]);
    for (const id of some) {
      const one = found.get(id);
      if (!one || kept.has(id)) continue;
      if (one.has === "manifest") {
        await handIn(context, one);
        continue;
      }
      if (one.has === "tombstone") {
        log.warn(
          { snapshotId: id },
          "the storage has the tombstone of a snapshot that the hub does not know; it is left alone",
        );
        continue;
      }
      log.warn({ snapshotId: id }, "removing the leftovers of an attempt that was never finished");
      await store.removeTree(one.directory);
    }
  }
}

/** By id. A directory counts even where an attempt died before it had finished one object there. */
async function snapshotsOn(store: ObjectStore): Promise<Map<string, Found>> {
  const found = new Map<string, Found>();
  for await (const tenant_id of idsBelow(store, "backups")) {
    for await (const source_id of idsBelow(store, `backups/${tenant_id}`)) {
      for await (const snapshot_id of idsBelow(store, `backups/${tenant_id}/${source_id}`)) {
        const place = { tenant_id, source_id, snapshot_id };
        const { dir, manifest, tombstone } = keysOf(place);
        const is = async (key: string) => (await store.stat(key)) !== null;
        const has = (await is(manifest)) ? "manifest" : (await is(tombstone)) ? "tombstone" : "neither";
        found.set(snapshot_id, { directory: dir, place, has });
      }
    }
  }
  return found;
}

async function* idsBelow(store: ObjectStore, prefix: string): AsyncGenerator<string> {
  for await (const name of store.folders(prefix)) if (isId(name)) yield name;
}

async function handIn(context: WorkerContext, { directory, place }: Found): Promise<void> {
  const { store, hub } = context;
  const log = context.log.child({ snapshotId: place.snapshot_id });
  try {
    // Signature, sizes, headers, index. The artifact was read back whole before its manifest was written.
    const { manifest } = await checkStored(context, store, place);
    const location = join(context.config.storagePath, directory);
    const stored = { storage_id: null, location, locked_until: null };
    const { outcome } = await hub.insist("adopt", { manifest, stored });
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
