import type { JobPayloadOf, StorageRef } from "@xvault/contracts";
import { and, type CopyRow, eq, jobs, type JobRow, type TenantTx, type WorkerRow } from "@xvault/db";
import { type TenantId, XVaultError } from "@xvault/kernel";
import { jobParams } from "../jobs/params.ts";
import { keyHolders, manifestOf } from "../snapshots/dto.ts";
import { copiesOf, isReadable, type PlacedCopy } from "../storages/copies.ts";
import { isNeededOn, missingBeside } from "../storages/needed.ts";
import { findStorage } from "../storages/placement.ts";
import { snapshotById } from "../storages/queue.ts";
import { storageRef } from "../storages/refs.ts";

/**
 * The copy that a job is about: the one that it names, else the first in one of the `states` that this worker reaches.
 *
 * @throws NO_WORKER where it lies with another worker; ARTIFACT_MISSING
 */
export async function copyOfJob(
  tx: TenantTx,
  job: JobRow,
  worker: WorkerRow,
  copyId: string | undefined,
  states: readonly CopyRow["state"][] = ["complete"],
): Promise<PlacedCopy> {
  const all = await copiesOf(tx, job.tenantId, [job.snapshotId ?? ""], states);
  const meant = all.filter(({ copy }) => copyId === undefined || copy.id === copyId);
  const near = meant.find(({ copy }) => copy.workerId === null || copy.workerId === worker.id);
  if (near) return near;
  if (meant.some(isReadable)) throw new XVaultError("NO_WORKER", "Another worker has the files of this snapshot.");
  throw new XVaultError("ARTIFACT_MISSING", "The copy of the snapshot is not there any more.");
}

/** The copies of a snapshot that may be read. What is not damaged in a damaged one can still be had, block by block. */
export async function copiesToRead(tx: TenantTx, tenantId: string, snapshotId: string): Promise<PlacedCopy[]> {
  const all = await copiesOf(tx, tenantId, [snapshotId], ["complete", "corrupt"]);
  return all.filter(({ worker }) => worker?.state !== "revoked");
}

/** Of copies that may be read, the one that a worker reads: the first whole one that it reaches, else a damaged one. */
export function nearest(all: readonly PlacedCopy[], worker: WorkerRow): PlacedCopy | undefined {
  const near = all.filter(({ copy }) => copy.workerId === null || copy.workerId === worker.id);
  return near.find(isReadable) ?? near[0];
}

/** @throws NO_WORKER where a better copy lies with another worker, or all do; ARTIFACT_MISSING where none can be read */
async function copyToRead(tx: TenantTx, job: JobRow, worker: WorkerRow): Promise<PlacedCopy> {
  const all = await copiesToRead(tx, job.tenantId, job.snapshotId ?? "");
  const near = nearest(all, worker);
  // A job that no other worker may take reads what it finds.
  if (near && (isReadable(near) || !all.some(isReadable) || job.targetWorkerId === worker.id)) return near;
  if (all.length > 0) throw new XVaultError("NO_WORKER", "Another worker has the files of this snapshot.");
  throw new XVaultError("ARTIFACT_MISSING", "The copy of the snapshot is not there any more.");
}

/**
 * A snapshot and the storage where this worker reads it: a copy that is named, in whatever state, else the best one. Which one that was is
 * noted with the job, see {@link copyReadBy}.
 */
export async function readPayload(
  tx: TenantTx,
  job: JobRow,
  worker: WorkerRow,
  copyId?: string,
): Promise<{ snapshot: JobPayloadOf<"restore">["snapshot"]; storage: StorageRef }> {
  const row = await snapshotById(tx, job.tenantId, job.snapshotId ?? "");
  const { copy, storage, platform } =
    copyId === undefined
      ? await copyToRead(tx, job, worker)
      : await copyOfJob(tx, job, worker, copyId, ["complete", "missing", "corrupt"]);
  if (copyId === undefined) await noteRead(tx, job, copy.id);
  return {
    snapshot: { tenant_id: row.tenantId, source_id: row.sourceId, snapshot_id: row.id },
    storage: storageRef(storage, platform),
  };
}

/** Beside a job's own parameters: the copy that its last attempt was given to read, where it names none. */
const READ = "read_copy_id";

async function noteRead(tx: TenantTx, job: JobRow, copyId: string): Promise<void> {
  const params = { ...job.params, [READ]: copyId };
  await tx
    .update(jobs)
    .set({ params })
    .where(and(eq(jobs.tenantId, job.tenantId), eq(jobs.id, job.id)));
}

/** The copy that the last attempt at a job which names none was given to read. */
export function copyReadBy(job: JobRow): string | undefined {
  const id = job.params[READ];
  return typeof id === "string" ? id : undefined;
}

/** A restore to nowhere, with what the statement about it says. */
export async function drillPayload(tx: TenantTx, job: JobRow, worker: WorkerRow): Promise<JobPayloadOf<"drill">> {
  const { copy_id, mode, files } = jobParams.drill.parse(job.params);
  const row = await snapshotById(tx, job.tenantId, job.snapshotId ?? "");
  const { sequence, created_at } = manifestOf(row);
  const holders = await keyHolders(tx, job.tenantId as TenantId);
  return {
    type: "drill",
    ...(await readPayload(tx, job, worker, copy_id)),
    manifest_sha256: row.manifestSha256 ?? "",
    sequence,
    created_at,
    keys: row.keyFingerprints.filter((fingerprint) => holders.get(fingerprint) === "platform"),
    mode,
    files,
  };
}

/** A copy to another storage. What the snapshot needs of earlier ones goes along, so that a storage is whole by itself. */
export async function transferPayload(tx: TenantTx, job: JobRow, worker: WorkerRow): Promise<JobPayloadOf<"transfer">> {
  const params = jobParams.transfer.parse(job.params);
  const row = await snapshotById(tx, job.tenantId, job.snapshotId ?? "");
  const from = await copyOfJob(tx, job, worker, params.copy_id);
  const to = await findStorage(tx, job.tenantId, params.storage_id);
  if (row.state !== "complete" || to.storage.state !== "active")
    throw new XVaultError("NOT_FOUND", "The snapshot or the storage is not there any more.");
  const isNeeded = params.remove && (await isNeededOn(tx, row, from.storage.id));
  // Between the plan and now a run may have built on it where it lies: the rules will say anew what they want.
  if (isNeeded && job.trigger === "schedule")
    throw new XVaultError("SNAPSHOT_NEEDED", "A later snapshot has come to need this one where it is.");
  if (isNeeded !== params.kept) await noteKept(tx, job, isNeeded);
  const manifest = manifestOf(row);
  const wanted = manifest.references.map((reference) => reference.snapshot_id);
  const where = { storageId: to.storage.id, workerId: to.storage.kind === "local_fs" ? worker.id : null };
  const place = (snapshot_id: string) => ({ tenant_id: row.tenantId, source_id: row.sourceId, snapshot_id });
  return {
    type: "transfer",
    snapshot: place(row.id),
    from: storageRef(from.storage, from.platform),
    to: storageRef(to.storage, to.platform),
    needs: (await missingBeside(tx, job.tenantId, wanted, where)).map(place),
    remove: params.remove && !isNeeded,
    kept: isNeeded,
    sequence: manifest.sequence,
    previous: manifest.previous,
    manifest_sha256: row.manifestSha256 ?? "",
    reason: params.reason,
  };
}

async function noteKept(tx: TenantTx, job: JobRow, kept: boolean): Promise<void> {
  const mine = and(eq(jobs.tenantId, job.tenantId), eq(jobs.id, job.id));
  await tx
    .update(jobs)
    .set({ params: { ...job.params, kept } })
    .where(mine);
}
