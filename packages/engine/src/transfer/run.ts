import { DAMAGE_CODES, type JobPayloadOf, type JobResult, type Manifest } from "@xvault/contracts";
import { manifestBytes, manifestSha256 } from "@xvault/crypto";
import { isXVaultError, readThrough, XVaultError } from "@xvault/kernel";
import type { ObjectStore } from "@xvault/storage";
import { metaBytes } from "../backup/meta.ts";
import { type ExpireRun, runExpire } from "../expire/run.ts";
import { keysOf, type SnapshotPlace } from "../place.ts";
import type { Reporter } from "../progress.ts";
import { readBackBytes, readBackObjects, readLeaves } from "../read-back.ts";
import { checkSnapshot, storedObjects } from "../snapshot.ts";
import { checkApart } from "./apart.ts";

export interface TransferRun {
  payload: JobPayloadOf<"transfer">;
  from: ObjectStore;
  to: ObjectStore;
  rootKeys: string[];
  signer: ExpireRun["signer"];
  /** Tells that a snapshot is whole on its new storage. What it came from is touched only after this has resolved for all. */
  onStored(place: SnapshotPlace, manifest: Manifest): Promise<void>;
  reporter: Reporter;
  signal: AbortSignal;
}

/**
 * Copies a snapshot, and before it the earlier ones that it needs, from one storage to another. Every block is held against the signed root
 * while it is read, and what was written is read back before the manifest, which comes last, makes it count. With `remove` the copy that it
 * came from goes then and leaves a signed tombstone. At no time is there no copy; running it again finishes what was begun.
 *
 * @throws CONFLICT where both storages are one place; what reading a damaged snapshot throws; ARTIFACT_CORRUPT (retry) when the storage gives back something else; what storages throw
 */
export async function runTransfer(run: TransferRun): Promise<Extract<JobResult, { type: "transfer" }>> {
  const { payload, from, reporter, signal } = run;
  await checkApart({ id: payload.from.id, store: from }, { id: payload.to.id, store: run.to });
  let bytes = 0;
  let snapshots = 0;
  for (const place of [...payload.needs, payload.snapshot]) {
    signal.throwIfAborted();
    const own = place.snapshot_id === payload.snapshot.snapshot_id;
    let manifest = await wholeManifest(run, place);
    if (!manifest || (own && manifestSha256(manifest) !== payload.manifest_sha256)) {
      manifest = await copyOne(run, place, own ? payload.manifest_sha256 : null);
      bytes += manifest.artifact.size_bytes + manifest.index.size_bytes;
      snapshots += 1;
    }
    await run.onStored(place, manifest);
  }
  if (!payload.remove) return { type: "transfer", bytes, snapshots, freed_bytes: 0 };
  const { freed_bytes } = await runExpire({ payload, store: from, signer: run.signer, reporter, signal });
  return { type: "transfer", bytes, snapshots, freed_bytes };
}

/** The manifest of a snapshot that is whole on its new storage: genuine, every object of it read back; null where it is not there, or not whole. */
async function wholeManifest(run: TransferRun, place: SnapshotPlace): Promise<Manifest | null> {
  if (!(await run.to.stat(keysOf(place).manifest))) return null;
  try {
    const { manifest } = await checkSnapshot(storedObjects(run.to, place), { rootKeys: run.rootKeys, expect: place });
    await readBackObjects(run.to, place, manifest, run.signal);
    return manifest;
  } catch (error) {
    if (isXVaultError(error, ...DAMAGE_CODES)) return null;
    throw error;
  }
}

async function copyOne(run: TransferRun, place: SnapshotPlace, expected: string | null): Promise<Manifest> {
  const { from, to, reporter, signal } = run;
  const keys = keysOf(place);
  reporter.step("check", `Checking the signature and block hashes of snapshot ${place.snapshot_id}.`);
  const checked = await checkSnapshot(storedObjects(from, place), { rootKeys: run.rootKeys, expect: place });
  const { manifest } = checked;
  if (expected !== null && manifestSha256(manifest) !== expected)
    throw new XVaultError("SIGNATURE_INVALID", "The manifest on the storage is not the one that was published.");
  // A damaged copy may have what this one has not: it makes way only for one that was read from beginning to end.
  if (await to.stat(keys.artifact)) await readBackObjects(from, place, manifest, signal);
  // So does what an attempt that died has left there, or the tombstone of an earlier move.
  await to.removeTree(keys.dir);
  reporter.step("copy", "Copying, each block held against the signed root.");
  reporter.expect({ files: 0, bytes: manifest.artifact.size_bytes + manifest.index.size_bytes });
  const put = async (key: string, pieces: AsyncIterable<Buffer>) => {
    const writer = await to.create(key);
    try {
      for await (const piece of pieces) {
        signal.throwIfAborted();
        await writer.write(piece);
        reporter.advance({ bytes: piece.length });
      }
      await writer.commit();
    } catch (error) {
      await writer.abort();
      throw error;
    }
  };
  const small = async (key: string, bytes: Buffer) => {
    await put(key, pieceOf(bytes));
    await readBackBytes(to, key, bytes);
  };
  await put(keys.artifact, readThrough(checked.artifact));
  await put(keys.index, readThrough(checked.index));
  await put(keys.blocks, pieceOf(await readLeaves(from, place, manifest)));
  const plan = await from.stat(keys.plan);
  if (plan) await put(keys.plan, readThrough(await from.reader(keys.plan)));
  await small(keys.meta, metaBytes(manifest));
  reporter.step("verify", "Reading back what was stored.");
  await readBackObjects(to, place, manifest, signal);
  // Written last: without it the snapshot does not exist there.
  await small(keys.manifest, manifestBytes(manifest));
  return manifest;
}

async function* pieceOf(bytes: Buffer): AsyncGenerator<Buffer, void, undefined> {
  yield bytes;
}
