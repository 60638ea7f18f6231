import type { workerProtocol, WorkerOutput } from "@xvault/contracts";
import type { JobRow, TenantTx, WorkerRow } from "@xvault/db";
import { XVaultError } from "@xvault/kernel";
import type { z } from "zod";
import { auditSystem } from "../audit.ts";
import type { ServiceDeps } from "../deps.ts";
import { jobParams } from "../jobs/params.ts";
import { manifestOf } from "../snapshots/dto.ts";
import { copiesOf } from "../storages/copies.ts";
import { extendLocks } from "../storages/needed.ts";
import { findStorage, placementOf } from "../storages/placement.ts";
import { recordCopy, snapshotById } from "../storages/queue.ts";
import { openStorageSecret } from "../storages/refs.ts";
import { withHeldJob } from "./held.ts";
import { makesSnapshot } from "./published.ts";

type In<C extends keyof typeof workerProtocol> = z.output<(typeof workerProtocol)[C]["input"]>;

/** The calls by which a worker gets at the storages of a job that it holds, and tells what it put there. */
export function createStorageCalls(deps: ServiceDeps) {
  const { db, clock } = deps;
  return {
    storage_secret: (worker: WorkerRow, input: In<"storage_secret">): Promise<WorkerOutput<"storage_secret">> =>
      withHeldJob(db, worker, input, async (tx, job, tenantId) => {
        if (!(await storagesOf(tx, job)).includes(input.storage_id)) throw new XVaultError("NOT_FOUND");
        const secret = await openStorageSecret(deps, tx, tenantId, input.storage_id);
        if (secret !== null) {
          const actor = { kind: "worker" as const, id: worker.id, label: worker.name };
          const about = { kind: "storage", id: input.storage_id };
          await auditSystem(tx, tenantId, actor, "storage.secret_handed_out", about, { job_id: job.id });
        }
        return { secret };
      }),

    stored: (worker: WorkerRow, input: In<"stored">): Promise<WorkerOutput<"stored">> =>
      withHeldJob(db, worker, input, async (tx, job, tenantId) => {
        if (job.type !== "transfer" || job.snapshotId === null) throw new XVaultError("NOT_FOUND");
        const own = await snapshotById(tx, tenantId, job.snapshotId);
        const named = manifestOf(own).references.map((reference) => reference.snapshot_id);
        if (input.snapshot_id !== own.id && !named.includes(input.snapshot_id)) throw new XVaultError("NOT_FOUND");
        const snapshot = await snapshotById(tx, tenantId, input.snapshot_id);
        const { storage_id } = jobParams.transfer.parse(job.params);
        const { storage } = await findStorage(tx, tenantId, storage_id);
        const lockedUntil = input.locked_until === null ? null : new Date(input.locked_until);
        const { location } = input;
        await recordCopy(tx, { snapshot, storage, workerId: worker.id, location, lockedUntil, now: clock.now() });
        await extendLocks(tx, snapshot, storage.id, lockedUntil);
        return {};
      }),
  };
}

/** The storages that a job may touch. */
async function storagesOf(tx: TenantTx, job: JobRow): Promise<string[]> {
  if (job.type === "storage_test") return [jobParams.storage_test.parse(job.params).storage_id];
  if (makesSnapshot(job))
    return (await placementOf(tx, job.tenantId, job.sourceId ?? "")).map(({ storage }) => storage.id);
  const read = (await copiesOf(tx, job.tenantId, [job.snapshotId ?? ""])).map(({ storage }) => storage.id);
  return job.type === "transfer" ? [...read, jobParams.transfer.parse(job.params).storage_id] : read;
}
