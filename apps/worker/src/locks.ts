import type { Manifest } from "@xvault/contracts";
import { keysOf, type SnapshotPlace } from "@xvault/engine";
import type { OpenStore } from "./stores.ts";

type Source = Omit<SnapshotPlace, "snapshot_id">;

/** What a snapshot needs of earlier ones stays locked as long as itself. */
export async function lockNeeded(store: OpenStore, source: Source, { references }: Manifest): Promise<void> {
  for (const { snapshot_id } of references) await lockSnapshot(store, { ...source, snapshot_id });
}

/** Locks the objects of a snapshot for as long as the storage locks what is written now; a longer lock stays. */
export async function lockSnapshot({ bucket, lockedUntil }: OpenStore, place: SnapshotPlace): Promise<void> {
  if (bucket === null || lockedUntil === null) return;
  const { tenant_id, source_id, snapshot_id } = place;
  const { artifact, index, blocks, manifest, meta } = keysOf({ tenant_id, source_id, snapshot_id });
  for (const key of [artifact, index, blocks, manifest, meta]) await bucket.lockUntil(key, lockedUntil.getTime());
}
