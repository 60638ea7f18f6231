import { parseTar } from "@xvault/archive";
import type { JobPayloadOf, JobResult, Manifest } from "@xvault/contracts";
import { type FileEntry, HeldBytes, type PathProblem, systemClock, XVaultError } from "@xvault/kernel";
import { planFor, type SourceConnection } from "@xvault/source";
import { keysOf } from "../place.ts";
import type { Reporter } from "../progress.ts";
import { Canaries } from "./canaries.ts";
import { forgetState, openPlan } from "./open-plan.ts";
import { createSeal, type SealRun } from "./seal.ts";
import { selectChanged, Survey } from "./select.ts";
import { createSnapshotWriter } from "./stored-snapshot.ts";

export interface BackupRun extends SealRun {
  payload: JobPayloadOf<"backup">;
  /** Opens the source; called once, after the credentials could be fetched. */
  connect(): Promise<SourceConnection>;
  /** The key of the source's plan states, 32 bytes. */
  planKey(): Promise<Buffer>;
}

export interface BackupOutcome {
  manifest: Manifest;
  /** True when part of the source could not be read: the job ends as 'warning'. */
  partial: boolean;
  result: Extract<JobResult, { type: "backup" }>;
}

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
    const onSourceProblem = (problem: PathProblem) => {
      writer.archive.note(problem);
      onProblem(problem);
    };
    const seal = createSeal(run, writer);
    try {
      reporter.step(
        "pull",
        `Pulling by ${connection.capabilities.transport === "tar" ? "remote tar" : "SFTP"}, packing, encrypting and storing.`,
      );
      const canaries = new Canaries(payload.options.canaries);
      const select = selectChanged(plan, writer.archive, survey, canaries);
      const onListing = survey.listing;
      for await (const { entry, body } of connection.pull(what, {
        parseTar,
        signal,
        onProblem: onSourceProblem,
        select,
        onListing,
      })) {
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

      await seal.readBack(parts);

      const planned = await writer.stream(keys.plan, (sink) => plan.save(sink));
      if (!planned)
        reporter.warning("The source has too many files for incremental runs: the next one will be full, too.");

      const partial = problems > 0;
      const manifest = await seal.publish({ startedAt, parts, partial, problems, references: plan.references() });
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
      await seal.undo(error);
      throw error;
    } finally {
      await survey.end();
      plan.close();
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
