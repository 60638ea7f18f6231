import type { ArtifactReader } from "@xvault/archive";
import type { WorkerInput, WorkerOutput } from "@xvault/contracts";
import {
  type CheckedSnapshot,
  checkSnapshot,
  countReads,
  type EarlierKey,
  type ReadCount,
  type SnapshotPlace,
  storedObjects,
  unsealSnapshot,
} from "@xvault/engine";
import type { ObjectStore } from "@xvault/storage";
import type { WorkerContext } from "../context.ts";

/** Checks a snapshot on a storage: signature, headers, block hashes. Needs no key. `read` counts what is read of it from now on. */
export async function checkStored(
  context: WorkerContext,
  store: ObjectStore,
  place: SnapshotPlace,
): Promise<CheckedSnapshot & { read: ReadCount }> {
  const { objects, count } = countReads(storedObjects(store, place));
  const checked = await checkSnapshot(objects, { rootKeys: context.standing().root_keys, expect: place });
  return { ...checked, read: count };
}

/** What the hub must see before it unwraps file keys. */
export function sealedHeaders(checked: CheckedSnapshot): WorkerInput<"unwrap">["sealed"] {
  return {
    manifest: checked.manifest,
    artifact_header: checked.headers.artifact.toString("base64"),
    index_header: checked.headers.index.toString("base64"),
  };
}

/** The same of an earlier artifact. */
function sealedArtifact({ manifest, header }: Parameters<EarlierKey>[0]): WorkerInput<"unwrap_earlier">["sealed"] {
  return { manifest, artifact_header: header.toString("base64") };
}

/**
 * Opens a checked snapshot with the file keys that the hub unwrapped; they open this one snapshot and nothing else. `earlier` asks for the
 * key of an artifact that it refers to.
 */
export function unseal(
  checked: CheckedSnapshot,
  keys: WorkerOutput<"unwrap">,
  earlier: (sealed: WorkerInput<"unwrap_earlier">["sealed"]) => Promise<WorkerOutput<"unwrap_earlier">>,
): Promise<ArtifactReader> {
  return unsealSnapshot(checked, {
    artifact: Buffer.from(keys.artifact, "base64"),
    index: Buffer.from(keys.index, "base64"),
    earlier: async (found) => Buffer.from((await earlier(sealedArtifact(found))).artifact, "base64"),
  });
}

/** Opens a checked snapshot for a job that reads it. */
export async function unsealForJob(
  context: WorkerContext,
  held: { job_id: string; attempt: number },
  checked: CheckedSnapshot,
  signal: AbortSignal,
): Promise<ArtifactReader> {
  const keys = await context.hub.insist("unwrap", { ...held, sealed: sealedHeaders(checked) }, signal);
  return unseal(checked, keys, (sealed) => context.hub.insist("unwrap_earlier", { ...held, sealed }, signal));
}
