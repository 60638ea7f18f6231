import type { ArtifactReader } from "@xvault/archive";
import { DAMAGE_CODES, type ProofSigner, type RestoreProof, type RestoreProofBody } from "@xvault/contracts";
import { manifestSha256, signProof } from "@xvault/crypto";
import { type Clock, isXVaultError, systemClock, XVaultError } from "@xvault/kernel";
import type { ReadCount } from "../read-count.ts";
import type { Reporter } from "../progress.ts";
import type { CheckedSnapshot } from "../snapshot.ts";
import { type Draw, secureDraw } from "../verify/draw.ts";
import { pickFiles } from "./pick.ts";

/** What the statement says of the snapshot, whatever is found: as whoever ordered the drill knows it. */
type Subject = Pick<
  RestoreProofBody,
  | "tenant_id"
  | "source_id"
  | "snapshot_id"
  | "job_id"
  | "manifest_sha256"
  | "sequence"
  | "created_at"
  | "storage"
  | "keys"
>;

export interface DrillRun {
  subject: Subject;
  /** Checks and unseals the snapshot. A failure that is a finding about it is the drill's outcome. */
  open(): Promise<{ checked: CheckedSnapshot & { read: ReadCount }; artifact: ArtifactReader }>;
  /** All files; or so many drawn by chance, and the largest and the newest one. */
  mode: "all" | "sample";
  files: number;
  signer: ProofSigner;
  /** Of the signer, PEM. */
  privateKey: string;
  /** Of the xVault that runs it. */
  version: string;
  reporter: Reporter;
  signal: AbortSignal;
  clock?: Clock;
  random?: Draw;
}

export interface DrillOutcome {
  proof: RestoreProof;
  /** What the drill failed with; null when it passed. */
  failure: XVaultError | null;
}

/**
 * Restores a snapshot, or a sample of its files, to nowhere: decrypts, decompresses, holds each file against its hash in the index; and signs a
 * statement of what came of it. A snapshot that cannot be restored is an outcome, and stated too.
 *
 * @throws what is no finding about the snapshot (CANCELLED, STORAGE_FAILED, …); nothing is stated then.
 */
export async function runDrill(run: DrillRun): Promise<DrillOutcome> {
  const { clock = systemClock, reporter } = run;
  const startedAt = clock.now();
  const done: Done = { files: 0, of: null, bytes: 0, read: null };
  const failure = await restoreToNowhere(run, done).then(
    () => null,
    (error: unknown) => {
      run.signal.throwIfAborted();
      if (isXVaultError(error, "KEY_MISMATCH", ...DAMAGE_CODES)) return error;
      throw error;
    },
  );
  const finishedAt = clock.now();
  reporter.step("sign", failure ? `The restore failed: ${failure.message}` : "The restore passed.");
  const body: RestoreProofBody = {
    format: 1,
    kind: "xvault-restore-proof",
    ...run.subject,
    started_at: startedAt.toISOString(),
    finished_at: finishedAt.toISOString(),
    seconds: Math.max(0, finishedAt.getTime() - startedAt.getTime()) / 1000,
    restored: {
      mode: run.mode,
      files: done.files,
      of_files: done.of,
      bytes: done.bytes,
      read_bytes: done.read?.bytes ?? 0,
    },
    outcome: failure ? "failed" : "passed",
    failure: failure ? { code: failure.code, message: failure.message.slice(0, 2000) } : null,
    versions: { xvault: run.version, node: process.versions.node, format: 1 },
    signer: run.signer,
  };
  return { proof: signProof(body, run.privateKey), failure };
}

/** How far it came. */
interface Done {
  files: number;
  of: number | null;
  bytes: number;
  read: ReadCount | null;
}

async function restoreToNowhere(run: DrillRun, done: Done): Promise<void> {
  const { reporter, signal, random = secureDraw } = run;
  const { checked, artifact } = await run.open();
  done.read = checked.read;
  if (manifestSha256(checked.manifest) !== run.subject.manifest_sha256) {
    throw new XVaultError("SIGNATURE_INVALID", "The manifest on the storage is not the one that was published.");
  }
  const { contents, references } = checked.manifest;
  try {
    if (run.mode === "sample") {
      reporter.step("read", "Choosing files of the index.");
      const { files, of } = await pickFiles(artifact.entries(), run.files, random);
      done.of = of;
      reporter.info(`${files.length} of ${of} files are restored to nowhere.`);
      reporter.expect({ files: files.length, bytes: files.reduce((sum, { body_bytes }) => sum + body_bytes, 0) });
      for (const file of files) await readFile(file);
      return;
    }
    reporter.step("read", "Restoring every file to nowhere.");
    reporter.expect({ files: contents.files, bytes: contents.plain_bytes });
    await artifact.prepare(references.map(({ snapshot_id }) => snapshot_id));
    for await (const entry of artifact.entries()) if (entry.type === "file") await readFile(entry);
    done.of = done.files;
  } finally {
    artifact.release();
  }

  async function readFile(entry: Parameters<ArtifactReader["body"]>[0]): Promise<void> {
    for await (const piece of artifact.body(entry)) {
      signal.throwIfAborted();
      done.bytes += piece.length;
      reporter.advance({ bytes: piece.length });
    }
    done.files += 1;
    reporter.advance({ files: 1 });
  }
}
