import { MAX_LEAVES_BYTES } from "@xvault/archive";
import { parseManifest, parseTombstone } from "@xvault/crypto";
import { toXVaultError } from "@xvault/kernel";
import type { ObjectStore } from "@xvault/storage";
import type { SnapshotObjects } from "../snapshot.ts";
import {
  ARTIFACT,
  directoryOf,
  expectedAt,
  type FoundSnapshot,
  type FoundSnapshots,
  MANIFEST,
  MAX_OBJECT_BYTES,
  newestFirst,
  TOMBSTONE,
} from "./find-snapshots.ts";

/** A manifest is a round trip; so many are asked for at a time. */
const AT_ONCE = 16;

/**
 * Finds the snapshots in a store below a prefix (whole segments, '' for all): those of a base, a tenant, a source, or a single one. `place` is
 * what the store is called to people ('s3://bucket'); a snapshot's `directory` is that and its prefix. Only listed and read, artifacts in ranges.
 *
 * @throws whatever the store says when it cannot be listed: STORAGE_DENIED, STORAGE_FAILED
 */
export async function findStoredSnapshots(store: ObjectStore, place: string, below: string): Promise<FoundSnapshots> {
  const found: FoundSnapshots = { snapshots: [], tombstones: [], unreadable: [], withoutManifest: [] };
  const directories = {
    [ARTIFACT]: new Set<string>(),
    [MANIFEST]: new Set<string>(),
    [TOMBSTONE]: new Set<string>(),
  };
  for await (const { key } of store.list(below)) {
    const [, directory = "", name = ""] = /^(?:(.*)\/)?([^/]+)$/.exec(key) ?? [];
    if (name === ARTIFACT || name === MANIFEST || name === TOMBSTONE) {
      directories[name].add(addressOf(place, directory));
    }
  }
  const tombstones = [...directories[TOMBSTONE]].filter((directory) => !directories[MANIFEST].has(directory));
  found.withoutManifest = [...directories[ARTIFACT]].filter(
    (directory) => !directories[MANIFEST].has(directory) && !directories[TOMBSTONE].has(directory),
  );
  await eachOf([...directories[MANIFEST]], found, (directory) => take(store, place, directory, found));
  await eachOf(tombstones, found, async (directory) => {
    const text = await store.readAll(keyIn(place, directory, TOMBSTONE), MAX_OBJECT_BYTES);
    found.tombstones.push(parseTombstone(text));
  });
  found.snapshots.sort((a, b) => newestFirst(a.manifest, b.manifest));
  return found;
}

async function eachOf(
  directories: readonly string[],
  found: FoundSnapshots,
  run: (directory: string) => Promise<void>,
): Promise<void> {
  for (let at = 0; at < directories.length; at += AT_ONCE) {
    await Promise.all(
      directories.slice(at, at + AT_ONCE).map(async (directory) => {
        try {
          await run(directory);
        } catch (error) {
          found.unreadable.push({ directory, error: toXVaultError(error) });
        }
      }),
    );
  }
}

async function take(store: ObjectStore, place: string, directory: string, found: FoundSnapshots): Promise<void> {
  const objects = objectsIn(store, place, directory, found.snapshots);
  const manifest = parseManifest(await objects.manifest());
  found.snapshots.push({
    directory,
    manifest,
    objects,
    directoryOf: (snapshotId) => directoryOf(snapshotId, directory, found.snapshots),
    expect: expectedAt(directory, manifest),
  });
}

function objectsIn(
  store: ObjectStore,
  place: string,
  directory: string,
  found: readonly FoundSnapshot[],
): SnapshotObjects {
  const key = (name: string) => keyIn(place, directory, name);
  return {
    manifest: () => store.readAll(key(MANIFEST), MAX_OBJECT_BYTES),
    artifact: () => store.reader(key(ARTIFACT)),
    index: () => store.reader(key("index.zst.enc")),
    blocks: () => store.readAll(key("blocks.bin"), MAX_LEAVES_BYTES),
    earlier: (snapshotId) => objectsIn(store, place, directoryOf(snapshotId, directory, found), found),
  };
}

const addressOf = (place: string, directory: string): string => (directory === "" ? place : `${place}/${directory}`);

function keyIn(place: string, address: string, name: string): string {
  const directory = address.slice(place.length + 1);
  return directory === "" ? name : `${directory}/${name}`;
}
