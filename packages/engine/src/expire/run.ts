import type { JobPayloadOf, JobResult, WorkerOutput } from "@xvault/contracts";
import { parseTombstone, signTombstone, tombstoneBytes } from "@xvault/crypto";
import { type Clock, systemClock, XVaultError } from "@xvault/kernel";
import type { ObjectStore } from "@xvault/storage";
import { keysOf } from "../place.ts";
import type { Reporter } from "../progress.ts";

export interface ExpireRun {
  payload: Pick<JobPayloadOf<"expire">, "snapshot" | "sequence" | "manifest_sha256" | "previous" | "reason">;
  store: ObjectStore;
  signer: { workerId: string; certificate: WorkerOutput<"hello">["certificate"]; privateKey: string };
  reporter: Reporter;
  signal: AbortSignal;
  clock?: Clock;
}

/**
 * Removes a snapshot's objects and leaves a signed tombstone in their place. The tombstone comes first and the manifest goes next, so that at
 * no time something half is taken for a snapshot, nor a gap in the chain for a theft. Running it again finishes what was begun.
 *
 * @throws ARTIFACT_CORRUPT when the tombstone that stands there already is about another snapshot; what the storage throws
 */
export async function runExpire(run: ExpireRun): Promise<Extract<JobResult, { type: "expire" }>> {
  const { payload, store, reporter, signal } = run;
  const { snapshot } = payload;
  const keys = keysOf(snapshot);
  reporter.step("remove", `Removing snapshot ${snapshot.snapshot_id}.`);
  await writeTombstone(run, keys.tombstone);
  let freed = 0;
  for (const key of [keys.manifest, keys.artifact, keys.index, keys.blocks, keys.plan, keys.meta]) {
    signal.throwIfAborted();
    freed += (await store.stat(key))?.sizeBytes ?? 0;
    await store.remove(key);
  }
  // What an attempt that died in the middle of its tombstone has left: nobody else writes here any more.
  await store.sweepTemporary(Number.NEGATIVE_INFINITY, keys.dir);
  reporter.info(`${freed} bytes freed.`);
  return { type: "expire", freed_bytes: freed };
}

async function writeTombstone(run: ExpireRun, key: string): Promise<void> {
  const { payload, store, signer } = run;
  if (await store.stat(key)) {
    const present = parseTombstone(await store.readAll(key, 64 * 1024));
    if (present.manifest_sha256 === payload.manifest_sha256) return;
    throw new XVaultError("ARTIFACT_CORRUPT", "A tombstone of another snapshot stands in this one's place.");
  }
  const { sequence, manifest_sha256, previous, reason } = payload;
  const tombstone = signTombstone(
    {
      format: 1,
      kind: "xvault-tombstone",
      ...payload.snapshot,
      worker_id: signer.workerId,
      sequence,
      manifest_sha256,
      previous,
      removed_at: (run.clock ?? systemClock).now().toISOString(),
      reason,
      certificate: signer.certificate,
    },
    signer.privateKey,
  );
  const writer = await store.create(key);
  try {
    await writer.write(tombstoneBytes(tombstone));
    await writer.close();
    await writer.commit();
  } catch (error) {
    await writer.abort();
    throw error;
  }
}
