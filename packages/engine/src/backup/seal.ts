import type { Manifest, ManifestBody, WorkerOutput } from "@xvault/contracts";
import { manifestBytes, signManifest } from "@xvault/crypto";
import { type Clock, isXVaultError, systemClock } from "@xvault/kernel";
import type { ObjectStore } from "@xvault/storage";
import { keysOf, type SnapshotPlace } from "../place.ts";
import type { Reporter } from "../progress.ts";
import { readBackBytes, readBackObjects } from "../read-back.ts";
import { metaBytes } from "./meta.ts";
import type { SnapshotWriter } from "./stored-snapshot.ts";

/** What every run needs that makes a snapshot, wherever its bytes come from. */
export interface SealRun {
  jobId: string;
  attempt: number;
  workerId: string;
  payload: SnapshotPlace & Pick<Manifest, "sequence" | "previous">;
  store: ObjectStore;
  /**
   * Where several stores stand behind `store`: has what was written read back from each of them by itself, and throws when not one gives it
   * back. Default: `check(store)`.
   */
  checkEach?(check: (store: ObjectStore) => Promise<void>): Promise<void>;
  signer: { certificate: WorkerOutput<"hello">["certificate"]; privateKey: string };
  /**
   * Tells the hub: from here on the snapshot exists. Rejects with the hub's own refusal only when the hub gave it: what was merely not
   * waited for any longer must not look like one.
   */
  publish(manifest: Manifest): Promise<void>;
  reporter: Reporter;
  signal: AbortSignal;
  clock?: Clock;
}

/**
 * What the hub answers about a manifest that it has not published and never will. Any other failure (a token that ran out, a hub that was
 * exchanged for a newer one, a worker that was revoked) may come after a first answer that was a yes and got lost.
 */
const REFUSALS = [
  "ARTIFACT_MISSING",
  "LEASE_LOST",
  "MANIFEST_TENANT_MISMATCH",
  "SIGNATURE_INVALID",
  "KEY_MISMATCH",
] as const;

/** Whether an answer says for certain that a manifest was not published. */
export function isRefused(error: unknown): boolean {
  return isXVaultError(error, ...REFUSALS);
}

type Parts = Awaited<ReturnType<SnapshotWriter["commit"]>>;
type Facts = Pick<ManifestBody, "partial" | "references"> & { startedAt: Date; problems: number; parts: Parts };

/** The way of a stored snapshot from its committed objects to one that exists, or to nothing. */
export interface Seal {
  /** Reads back what the disks give. @throws ARTIFACT_CORRUPT, worth a retry */
  readBack(parts: Parts): Promise<void>;
  /** Signs the manifest, writes it last and tells the hub. */
  publish(facts: Facts): Promise<Manifest>;
  /**
   * After a failure: removes what the attempt wrote, but for one case: when nobody can tell whether the hub has published the snapshot, its
   * objects, which are whole then, stay.
   */
  undo(error: unknown): Promise<void>;
}

export function createSeal(run: SealRun, writer: SnapshotWriter): Seal {
  const { payload, reporter, signal } = run;
  const keys = keysOf(payload);
  let asked = false;
  const checkEach = run.checkEach ?? ((check) => check(run.store));
  return {
    async readBack(parts) {
      reporter.step("verify", "Reading back what was stored.");
      await checkEach((one) => readBackObjects(one, payload, parts, signal));
    },

    async publish({ startedAt, parts, partial, problems, references }) {
      reporter.step("publish", "Signing the manifest and publishing the snapshot.");
      const { tenant_id, source_id, snapshot_id, sequence, previous } = payload;
      const manifest = signManifest(
        {
          format: 1,
          tenant_id,
          source_id,
          snapshot_id,
          job_id: run.jobId,
          worker_id: run.workerId,
          attempt: run.attempt,
          engine: "archive",
          started_at: startedAt.toISOString(),
          created_at: (run.clock ?? systemClock).now().toISOString(),
          sequence,
          previous,
          partial,
          ...parts,
          contents: { ...parts.contents, problems },
          references,
          certificate: run.signer.certificate,
        },
        run.signer.privateKey,
      );
      const meta = metaBytes(manifest);
      await writer.put(keys.meta, meta);
      // Written last: without it the snapshot does not exist.
      const signed = manifestBytes(manifest);
      await writer.put(keys.manifest, signed);
      await checkEach(async (one) => {
        await readBackBytes(one, keys.meta, meta);
        await readBackBytes(one, keys.manifest, signed);
      });
      signal.throwIfAborted();
      asked = true;
      await run.publish(manifest);
      return manifest;
    },

    async undo(error) {
      // Once the hub was asked to publish, only its refusal says that it did not: an answer that was lost may have been a yes.
      if (!asked || isRefused(error)) await writer.abort();
    },
  };
}
