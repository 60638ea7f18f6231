import { MAX_LEAVES_BYTES, merkleRoot } from "@xvault/archive";
import type { Manifest } from "@xvault/contracts";
import { XVaultError } from "@xvault/kernel";
import type { ObjectStore } from "@xvault/storage";
import { keysOf, type SnapshotPlace } from "./place.ts";
import { sha256OfObject } from "./read-object.ts";

/**
 * Reads what was stored of a snapshot again, from beginning to end: artifact, index and block hashes. What the disk gives back is what counts.
 * A read that does not match is made once more, so that one that was garbled on its way does not cost the run.
 *
 * @throws ARTIFACT_CORRUPT, worth a retry; ARTIFACT_MISSING
 */
export async function readBackObjects(
  store: ObjectStore,
  place: SnapshotPlace,
  expected: Pick<Manifest, "artifact" | "index" | "blocks">,
  signal?: AbortSignal,
): Promise<void> {
  const keys = keysOf(place);
  const holds = async (key: string, { size_bytes, sha256 }: { size_bytes: number; sha256: string }) =>
    (await store.stat(key))?.sizeBytes === size_bytes && (await sha256OfObject(store, key, signal)) === sha256;
  await atMostTwice(() => holds(keys.artifact, expected.artifact));
  await atMostTwice(() => holds(keys.index, expected.index));
  await readLeaves(store, place, expected);
}

/** The same for a small object of which every byte is known. @throws ARTIFACT_CORRUPT, worth a retry; ARTIFACT_MISSING */
export async function readBackBytes(store: ObjectStore, key: string, expected: Buffer): Promise<void> {
  await atMostTwice(async () => {
    if ((await store.stat(key))?.sizeBytes !== expected.length) return false;
    return (await store.readAll(key, expected.length)).equals(expected);
  });
}

/**
 * The block hashes of a stored artifact, held against their signed root: 32 bytes for each MiB.
 *
 * @throws ARTIFACT_CORRUPT, worth a retry; ARTIFACT_MISSING
 */
export async function readLeaves(
  store: ObjectStore,
  place: SnapshotPlace,
  { blocks }: Pick<Manifest, "blocks">,
): Promise<Buffer> {
  let leaves: Buffer = Buffer.alloc(0);
  await atMostTwice(async () => {
    leaves = await store.readAll(keysOf(place).blocks, MAX_LEAVES_BYTES);
    return leaves.length === blocks.count * 32 && merkleRoot(leaves) === blocks.root;
  });
  return leaves;
}

async function atMostTwice(matches: () => Promise<boolean>): Promise<void> {
  if ((await matches()) || (await matches())) return;
  throw new XVaultError("ARTIFACT_CORRUPT", "What the storage gives back is not what was written to it.", {
    retry: true,
  });
}
