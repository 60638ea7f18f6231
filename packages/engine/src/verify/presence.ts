import { type Manifest, metaSchema } from "@xvault/contracts";
import { XVaultError } from "@xvault/kernel";
import type { ObjectStore } from "@xvault/storage";
import { earlierManifest, genuineManifest, twice } from "../genuine-manifest.ts";
import { keysOf, type SnapshotPlace } from "../place.ts";
import { aboutEarlier } from "../references.ts";
import { storedObjects } from "../snapshot.ts";

const LEAF_BYTES = 32;
const MAX_META_BYTES = 64 * 1024;

export interface PresenceCheck {
  store: ObjectStore;
  place: SnapshotPlace;
  rootKeys: string[];
  signal: AbortSignal;
}

/**
 * Looks whether everything that a restore of the snapshot needs is there, and as long as its signed manifest says: its own objects, and the
 * artifacts of the earlier snapshots that it refers to. No content is read but the manifests. Gives the bytes that the objects have.
 *
 * @throws ARTIFACT_MISSING, ARCHIVE_TRUNCATED or TRAILING_DATA with the object's name in the error's data; SIGNATURE_INVALID and
 * ARCHIVE_MALFORMED about a manifest; about an earlier snapshot with its `snapshot_id`.
 */
export async function checkPresence({ store, place, rootKeys, signal }: PresenceCheck): Promise<number> {
  const objects = storedObjects(store, place);
  const manifest = await genuineManifest(objects, { rootKeys, expect: place });
  const keys = keysOf(place);
  let bytes = await artifactPresent(store, place, manifest);
  bytes += await present(store, keys.index, manifest.index.name, manifest.index.size_bytes);
  await twice(["ARTIFACT_CORRUPT", "ARTIFACT_MISSING"], () => checkMeta(store, keys.meta, place));
  for (const { snapshot_id } of manifest.references) {
    signal.throwIfAborted();
    try {
      const earlier = await earlierManifest(objects.earlier(snapshot_id), manifest, snapshot_id, { rootKeys });
      bytes += await artifactPresent(store, { ...place, snapshot_id }, earlier);
    } catch (error) {
      signal.throwIfAborted();
      throw aboutEarlier(snapshot_id, error);
    }
  }
  return bytes;
}

async function artifactPresent(store: ObjectStore, place: SnapshotPlace, manifest: Manifest): Promise<number> {
  const { artifact, blocks } = manifest;
  const keys = keysOf(place);
  const length = await present(store, keys.artifact, artifact.name, artifact.size_bytes);
  return length + (await present(store, keys.blocks, blocks.name, blocks.count * LEAF_BYTES));
}

function present(store: ObjectStore, key: string, name: string, expected: number): Promise<number> {
  return twice(["ARTIFACT_MISSING", "ARCHIVE_TRUNCATED", "TRAILING_DATA"], async () => {
    const found = (await store.stat(key))?.sizeBytes;
    const data = { object: name };
    if (found === undefined) throw new XVaultError("ARTIFACT_MISSING", `${name} is not there.`, { data });
    if (found === expected) return found;
    throw found < expected
      ? new XVaultError("ARCHIVE_TRUNCATED", `${name} has ${found} bytes of ${expected}.`, { data })
      : new XVaultError("TRAILING_DATA", `${name} has ${found} bytes instead of ${expected}.`, { data });
  });
}

/** Not signed, and no restore needs it; but whoever looks for his files on a storage goes by it. */
async function checkMeta(store: ObjectStore, key: string, place: SnapshotPlace): Promise<void> {
  const bytes = await store.readAll(key, MAX_META_BYTES);
  let same = false;
  try {
    const meta = metaSchema.parse(JSON.parse(bytes.toString("utf8")));
    same = meta.snapshot_id === place.snapshot_id && meta.source_id === place.source_id;
    same &&= meta.tenant_id === place.tenant_id;
  } catch {
    // Told below: what is not JSON of this form is not this snapshot's either.
  }
  if (!same) {
    throw new XVaultError("ARTIFACT_CORRUPT", "meta.json does not say whose snapshot this is.", {
      data: { object: "meta.json" },
    });
  }
}
