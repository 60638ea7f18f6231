import { parseTar } from "@xvault/archive";
import type { JobPayloadOf, JobResult, Manifest, WorkerOutput } from "@xvault/contracts";
import { manifestBytes, signManifest } from "@xvault/crypto";
import {
  type Clock,
  type FileEntry,
  HeldBytes,
  isXVaultError,
  type PathProblem,
  systemClock,
  XVaultError,
} from "@xvault/kernel";
import { planFor, type SourceConnection } from "@xvault/source";
import type { ObjectStore } from "@xvault/storage";
import { keysOf } from "../place.ts";
import type { Reporter } from "../progress.ts";
import { sha256OfObject } from "../read-object.ts";
import { Canaries } from "./canaries.ts";
import { forgetState, openPlan } from "./open-plan.ts";
import { selectChanged, Survey } from "./select.ts";
import { createSnapshotWriter, readBack } from "./stored-snapshot.ts";

export interface BackupRun {
  jobId: string;
  attempt: number;
  workerId: string;
  payload: JobPayloadOf<"backup">;
  store: ObjectStore;
  /**
   * Where several stores stand behind `store`: has what was written read back from each of them by itself, and throws when not one gives it
   * back. Default: `check(store)`.
   */
  checkEach?(check: (store: ObjectStore) => Promise<void>): Promise<void>;
  /** Opens the source; called once, after the credentials could be fetched. */
  connect(): Promise<SourceConnection>;
  /** The key of the source's plan states, 32 bytes. */
  planKey(): Promise<Buffer>;
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

export interface BackupOutcome {
  manifest: Manifest;
  /** True when part of the source could not be read: the job ends as 'warning'. */
  partial: boolean;
  result: Extract<JobResult, { type: "backup" }>;
}

/**
 * What the hub answers about a manifest that it has not published and never will. Any other failure (a token that ran out, a hub that was
 * exchanged for a newer one, a worker that was revoked) may come after a first answer that was a yes and got lost.
 */
const REFUSALS = ["LEASE_LOST", "MANIFEST_TENANT_MISMATCH", "SIGNATURE_INVALID", "KEY_MISMATCH"] as const;

/** Problems that get a line of their own in the log; the rest are counted. */
const MAX_LISTED_PROBLEMS = 100;

/**
 * Backs a source up: list → pull → tar → frames → age → hash and blocks → store → read back → sign → publish, as one stream that holds a
 * few frames in memory. No plaintext touches the worker's disk. Whatever fails, nothing of the attempt stays behind, but for one case:
 * when nobody can tell whether the hub has published the snapshot, its objects, which are whole then, stay.
 *
 * @throws any error of source or storage as it is; the signal's reason once it has aborted; NOTHING_READABLE when not one path could be
 * read.
 */
export async function runBackup(run: BackupRun): Promise<BackupOutcome> {
  const { payload, store, reporter, signal } = run;
  const clock = run.clock ?? systemClock;
  const startedAt = clock.now();
  const keys = keysOf(payload);

  reporter.step(
    "connect",
    `Connecting to ${payload.connection.username}@${payload.connection.host}:${payload.connection.port}.`,
  );
  const connection = await run.connect();
  try {
    const what = planFor(payload);

    reporter.step("list", `Listing ${payload.paths.join(", ")}.`);
    const plan = await openPlan(run, connection);
    signal.throwIfAborted();
    const survey = new Survey({ plan, connection, what, reporter, signal });
    const { unchanged } = survey;

    let problems = 0;
    const onProblem = (problem: PathProblem) => {
      problems += 1;
      plan.distrust(problem.path);
      if (problems <= MAX_LISTED_PROBLEMS) reporter.warning(`${problem.path.toString("utf8")}: ${problem.message}`);
    };
    const writer = await createSnapshotWriter(store, payload, { signal, onProblem });
    let asked = false;
    try {
      reporter.step(
        "pull",
        `Pulling by ${connection.capabilities.transport === "tar" ? "remote tar" : "SFTP"}, packing, encrypting and storing.`,
      );
      const canaries = new Canaries(payload.options.canaries);
      const select = selectChanged(plan, writer.archive, survey, canaries);
      const onListing = survey.listing;
      for await (const { entry, body } of connection.pull(what, { parseTar, signal, onProblem, select, onListing })) {
        signal.throwIfAborted();
        survey.pulled(entry);
        const line = await writer.archive.add(entry, body && counted(body, reporter));
        plan.packed(entry, line);
        canaries.note(entry.path, line.sha256);
        reporter.advance(entry.type === "file" ? { files: 1, path: shown(entry) } : { path: shown(entry) });
      }
      await survey.end();
      const parts = await writer.commit();
      if (parts.contents.files + parts.contents.directories + parts.contents.links === 0) {
        throw new XVaultError("NOTHING_READABLE");
      }
      if (problems > MAX_LISTED_PROBLEMS)
        reporter.warning(`${problems - MAX_LISTED_PROBLEMS} more problems are not listed.`);

      reporter.step("verify", "Reading back what was stored.");
      const check = async (one: ObjectStore) => {
        const sha256 = (key: string) => sha256OfObject(one, key, signal);
        await readBack(one, keys.artifact, parts.artifact, sha256);
        await readBack(one, keys.index, parts.index, sha256);
      };
      await (run.checkEach ? run.checkEach(check) : check(store));

      const planned = await writer.stream(keys.plan, (sink) => plan.save(sink));
      if (!planned)
        reporter.warning("The source has too many files for incremental runs: the next one will be full, too.");

      reporter.step("publish", "Signing the manifest and publishing the snapshot.");
      const partial = problems > 0;
      const manifest = signManifest(
        {
          format: 1,
          tenant_id: payload.tenant_id,
          source_id: payload.source_id,
          snapshot_id: payload.snapshot_id,
          job_id: run.jobId,
          worker_id: run.workerId,
          attempt: run.attempt,
          engine: "archive",
          started_at: startedAt.toISOString(),
          created_at: clock.now().toISOString(),
          sequence: payload.sequence,
          previous: payload.previous,
          partial,
          ...parts,
          contents: { ...parts.contents, problems },
          references: plan.references(),
          certificate: run.signer.certificate,
        },
        run.signer.privateKey,
      );
      const meta = {
        format: 1,
        tenant_id: payload.tenant_id,
        source_id: payload.source_id,
        snapshot_id: payload.snapshot_id,
        worker_id: run.workerId,
      };
      await writer.put(keys.meta, Buffer.from(`${JSON.stringify(meta)}\n`));
      // Written last: without it the snapshot does not exist.
      await writer.put(keys.manifest, manifestBytes(manifest));
      signal.throwIfAborted();
      asked = true;
      await run.publish(manifest);
      await forgetState(run);
      return {
        manifest,
        partial,
        result: {
          type: "backup",
          files: parts.contents.files,
          unchanged_files: unchanged.files,
          unchanged_bytes: unchanged.bytes,
          canaries: canaries.result(),
          plain_bytes: parts.contents.plain_bytes,
          size_bytes: parts.artifact.size_bytes,
          problems,
        },
      };
    } catch (error) {
      // Once the hub was asked to publish, only its refusal says that it did not: an answer that was lost may have been a yes.
      if (!asked || isXVaultError(error, ...REFUSALS)) await writer.abort();
      throw error;
    } finally {
      await survey.end();
    }
  } catch (error) {
    // A run that is cancelled ends in whatever its connection or its stages make of that.
    signal.throwIfAborted();
    throw error;
  } finally {
    connection.close();
  }
}

function counted(body: AsyncIterable<Buffer>, reporter: Reporter): AsyncIterable<Buffer> {
  if (!(body instanceof HeldBytes)) return countedPieces(body, reporter);
  reporter.advance({ bytes: body.bytes.length });
  return body;
}

async function* countedPieces(
  body: AsyncIterable<Buffer>,
  reporter: Reporter,
): AsyncGenerator<Buffer, void, undefined> {
  for await (const chunk of body) {
    reporter.advance({ bytes: chunk.length });
    yield chunk;
  }
}

function shown(entry: FileEntry): string {
  return `/${entry.path.toString("utf8")}`;
}
