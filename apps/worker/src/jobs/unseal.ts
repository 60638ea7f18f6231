import type { ArtifactReader } from "@xvault/archive";
import type { WorkerInput, WorkerOutput } from "@xvault/contracts";
import { type CheckedSnapshot, checkSnapshot, type SnapshotPlace, storedObjects, unsealSnapshot } from "@xvault/engine";
import type { WorkerContext } from "../context.ts";

/** Checks a snapshot on this worker's storage: signature, headers, block hashes. Needs no key. */
export function checkStored(context: WorkerContext, place: SnapshotPlace): Promise<CheckedSnapshot> {
  return checkSnapshot(storedObjects(context.store, place), { rootKeys: context.standing().root_keys, expect: place });
}

/** What the hub must see before it unwraps file keys. */
export function sealedHeaders(checked: CheckedSnapshot): WorkerInput<"unwrap">["sealed"] {
  return {
    manifest: checked.manifest,
    artifact_header: checked.headers.artifact.toString("base64"),
    index_header: checked.headers.index.toString("base64"),
  };
}

/** Opens a checked snapshot with the file keys that the hub unwrapped; they open this one snapshot and nothing else. */
export function unseal(checked: CheckedSnapshot, keys: WorkerOutput<"unwrap">): Promise<ArtifactReader> {
  return unsealSnapshot(checked, {
    artifact: Buffer.from(keys.artifact, "base64"),
    index: Buffer.from(keys.index, "base64"),
  });
}
