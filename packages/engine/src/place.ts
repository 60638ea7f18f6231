import type { SnapshotId, SourceId, TenantId } from "@xvault/kernel";
import { type SnapshotKeys, snapshotKeys } from "@xvault/storage";

/** Whose snapshot, as manifests, payloads and tickets name it. */
export interface SnapshotPlace {
  tenant_id: string;
  source_id: string;
  snapshot_id: string;
}

/** Where the objects of a snapshot lie. @throws PATH_INVALID when an id is not one of ours. */
export function keysOf(place: SnapshotPlace): SnapshotKeys {
  return snapshotKeys(place.tenant_id as TenantId, place.source_id as SourceId, place.snapshot_id as SnapshotId);
}
