import { auditFileName, type JobPayload, sourceOptionsSchema, type WorkerOutput } from "@xvault/contracts";
import { and, eq, jobs, type JobRow, type SnapshotRow, type TenantTx, type WorkerRow } from "@xvault/db";
import { isXVaultError, type TenantId, XVaultError } from "@xvault/kernel";
import { ZodError } from "zod";
import { auditSystem } from "../audit.ts";
import type { ServiceDeps } from "../deps.ts";
import { type ConnectionParams, jobParams } from "../jobs/params.ts";
import { EDGE_TYPE, LEASE_SECONDS } from "../jobs/states.ts";
import { tellJobEnded } from "../notices/job-ended.ts";
import { isSourceBusy } from "./busy.ts";
import { keyHolder, manifestOf } from "../snapshots/dto.ts";
import { connectionOf } from "../sources/find.ts";
import { copiesOf } from "../storages/copies.ts";
import { findStorage } from "../storages/placement.ts";
import { missingBeside } from "../storages/needed.ts";
import { snapshotById } from "../storages/queue.ts";
import { storageRef } from "../storages/refs.ts";
import { copyOfJob, drillPayload, readPayload, transferPayload } from "./copy-payloads.ts";
import { reserveSnapshot, takeJob } from "./reserve.ts";

const REFUSED = { granted: false } as const;

/**
 * Grants a job to a worker, or not. A queued job whose time has come is granted; so is a running one whose lease has expired, to a higher
 * attempt. Of one source, only one job that touches data runs at a time.
 */
export function createLeaseCall(deps: ServiceDeps) {
  const { db, clock, feed } = deps;

  /** Ends a job that nobody can ever begin: it would wait for ever, and keep its source's schedule from making another. */
  async function giveUp(tenantId: TenantId, jobId: string, reason: XVaultError): Promise<void> {
    await db.withTenant(tenantId, async (tx) => {
      const waiting = and(eq(jobs.tenantId, tenantId), eq(jobs.id, jobId), eq(jobs.state, "queued"));
      const [ended] = await tx
        .update(jobs)
        .set({ state: "failed", error: { ...reason.report() }, finishedAt: clock.now() })
        .where(waiting)
        .returning();
      if (!ended) return;
      const actor = { kind: "system", id: null, label: "xVault" } as const;
      await auditSystem(tx, tenantId, actor, `${ended.type}.failed`, { kind: "job", id: jobId }, { code: reason.code });
      await tellJobEnded(tx, deps, ended);
    });
    feed.announce(jobId);
  }

  return async (worker: WorkerRow, input: { job_id: string }): Promise<WorkerOutput<"lease">> => {
    if (worker.state !== "active") return REFUSED;
    const [found] = await db.withSystem((tx) =>
      tx.select({ tenantId: jobs.tenantId }).from(jobs).where(eq(jobs.id, input.job_id)),
    );
    if (!found) return REFUSED;
    const tenantId = found.tenantId as TenantId;

    const grant = db.withTenant(tenantId, async (tx) => {
      const mine = and(eq(jobs.tenantId, tenantId), eq(jobs.id, input.job_id));
      const [job] = await tx.select().from(jobs).where(mine).for("update");
      if (!job || !(await mayTake(tx, job, worker, clock.now()))) return null;
      const leased = await takeJob(tx, job, worker, clock.now());
      return { attempt: leased.attempt, payload: await payloadOf(tx, leased, worker) };
    });
    const granted = await grant.catch(async (error: unknown) => {
      const reason = lastingReason(error);
      if (!reason) throw error;
      await giveUp(tenantId, input.job_id, reason);
      return null;
    });
    if (!granted) return REFUSED;
    feed.announce(input.job_id);
    return { granted: true, job_id: input.job_id, lease_seconds: LEASE_SECONDS, ...granted };
  };
}

/** Why a job cannot be begun now or later; null for failures that may pass. */
function lastingReason(error: unknown): XVaultError | null {
  if (isXVaultError(error)) return error.retry || error.status >= 500 ? null : error;
  // What the job's row or its source's says does not make a payload.
  return error instanceof ZodError
    ? new XVaultError("INPUT_INVALID", "What this job needs to know is not complete.", {
        fix: "See to the source's connection and start the job again.",
        cause: error,
      })
    : null;
}

async function mayTake(tx: TenantTx, job: JobRow, worker: WorkerRow, now: Date): Promise<boolean> {
  if (job.type === EDGE_TYPE) return false;
  if (job.targetWorkerId !== null && job.targetWorkerId !== worker.id) return false;
  if (job.cancelRequestedAt !== null) return false;
  if (job.state !== "queued" || job.runAfter > now) return false;
  if (job.attempt >= job.maxAttempts) return false;
  return !(await isSourceBusy(tx, job));
}

async function payloadOf(tx: TenantTx, job: JobRow, worker: WorkerRow): Promise<JobPayload> {
  const tenantId = job.tenantId as TenantId;
  switch (job.type) {
    case "backup":
      return backupPayload(tx, job, worker);
    case "restore": {
      const params = jobParams.restore.parse(job.params);
      return {
        type: "restore",
        ...(await readPayload(tx, job, worker)),
        paths: params.paths,
        target: { ...reach(params.connection), path: params.path },
        overwrite: params.overwrite,
        verify: params.verify,
      };
    }
    case "quote": {
      const params = jobParams.quote.parse(job.params);
      return {
        type: "quote",
        ...(await readPayload(tx, job, worker)),
        paths: params.paths,
        target: { ...reach(params.connection), path: params.path },
        overwrite: params.overwrite,
      };
    }
    case "verify": {
      const params = jobParams.verify.parse(job.params);
      const row = await snapshotById(tx, tenantId, job.snapshotId ?? "");
      const holder = await keyHolder(tx, tenantId, row.keyFingerprints);
      const depth = params.depth ?? (holder === "platform" ? "content" : "whole");
      const { share, lost_below, earlier } = params;
      const read = await readPayload(tx, job, worker, params.copy_id);
      return { type: "verify", ...read, depth, share, lost_below, earlier };
    }
    case "transfer":
      return transferPayload(tx, job, worker);
    case "storage_test": {
      const { storage, platform } = await findStorage(
        tx,
        tenantId,
        jobParams.storage_test.parse(job.params).storage_id,
      );
      return { type: "storage_test", storage: storageRef(storage, platform) };
    }
    case "drill":
      return drillPayload(tx, job, worker);
    case "expire":
      return expirePayload(tx, job, worker);
    case "audit_archive":
      return auditArchivePayload(tx, job, worker);
    case "preflight": {
      const params = jobParams.preflight.parse(job.params);
      return { type: "preflight", connection: reach(params.connection), paths: params.paths };
    }
    case "browse": {
      const params = jobParams.browse.parse(job.params);
      return { type: "browse", connection: reach(params.connection), path: params.path };
    }
    case "probe":
      return { type: "probe", ...jobParams.probe.parse(job.params) };
    case "ingest":
      throw new XVaultError("INTERNAL", "No worker does what an edge client does.");
  }
}

async function backupPayload(tx: TenantTx, job: JobRow, worker: WorkerRow): Promise<JobPayload> {
  const { source, previous, target } = await reserveSnapshot(tx, job, worker);
  const [first] = target.storages;
  if (!first) throw new XVaultError("INTERNAL");
  return {
    type: "backup",
    ...target,
    connection: reach(connectionOf(source)),
    paths: source.paths,
    excludes: source.excludes,
    options: sourceOptionsSchema.parse(source.options),
    base: jobParams.backup.parse(job.params).full
      ? null
      : await baseOf(tx, previous, worker, job.attempt > 1 ? target.storages : [first]),
    retention: null,
  };
}

async function auditArchivePayload(tx: TenantTx, job: JobRow, worker: WorkerRow): Promise<JobPayload> {
  const { from_seq, through_seq, size_bytes, checksum } = jobParams.audit_archive.parse(job.params);
  const { target } = await reserveSnapshot(tx, job, worker);
  return { type: "audit_archive", ...target, path: auditFileName(from_seq, through_seq), size_bytes, checksum };
}

async function expirePayload(tx: TenantTx, job: JobRow, worker: WorkerRow): Promise<JobPayload> {
  const row = await snapshotById(tx, job.tenantId, job.snapshotId ?? "");
  const params = jobParams.expire.parse(job.params);
  const { copy, storage, platform } = await copyOfJob(tx, job, worker, params.copy_id, ["removing"]);
  // What is still shown is never removed, whatever a job's row says, but where it is whole elsewhere.
  const whole = await copiesOf(tx, row.tenantId, [row.id], ["complete"]);
  if (row.state !== "expired" && !whole.some((one) => one.copy.id !== copy.id))
    throw new XVaultError("NOT_FOUND", "The snapshot is not one that was given up.");
  const { sequence, previous } = manifestOf(row);
  return {
    type: "expire",
    snapshot: { tenant_id: row.tenantId, source_id: row.sourceId, snapshot_id: row.id },
    storage: storageRef(storage, platform),
    sequence,
    previous,
    manifest_sha256: row.manifestSha256 ?? "",
    reason: params.reason,
  };
}

/**
 * Where an incremental run starts: at the previous snapshot, while it and all that it uses data of is whole where the run writes first, and the worker reads it there. A run
 * that is tried again, perhaps since that storage took no part, starts only at what all of its storages have.
 */
async function baseOf(
  tx: TenantTx,
  previous: SnapshotRow | undefined,
  worker: WorkerRow,
  storages: readonly { id: string }[],
): Promise<string | null> {
  if (previous?.state !== "complete") return null;
  // What it refers to, the new one will refer to.
  const ids = [previous.id, ...manifestOf(previous).references.map((reference) => reference.snapshot_id)];
  for (const { id } of storages) {
    if ((await missingBeside(tx, previous.tenantId, ids, { storageId: id, workerId: worker.id })).length > 0)
      return null;
  }
  return previous.id;
}

function reach(connection: ConnectionParams) {
  return { host: connection.host, port: connection.port, username: connection.username, host_key: connection.host_key };
}
