import type { JobResult, workerProtocol, WorkerOutput } from "@xvault/contracts";
import {
  and,
  eq,
  jobEvents,
  jobs,
  type JobRow,
  snapshots,
  sources,
  sql,
  type TenantTx,
  type WorkerRow,
} from "@xvault/db";
import { type TenantId, XVaultError } from "@xvault/kernel";
import type { z } from "zod";
import { auditSystem } from "../audit.ts";
import { canReadAnother, isRoutine, settleChecks } from "../checks/settle.ts";
import type { ServiceDeps } from "../deps.ts";
import { announceNext } from "../jobs/next.ts";
import { connectionParams } from "../jobs/params.ts";
import { backoffMs, EDGE_TYPE, LEASE_SECONDS } from "../jobs/states.ts";
import { tellHostKeyChanged } from "../notices/host-key.ts";
import { tellJobEnded } from "../notices/job-ended.ts";
import { openCredential } from "../sources/credentials.ts";
import { connectionOf } from "../sources/find.ts";
import { finishMoves } from "../storages/needed.ts";
import { settleCopies, settleHalfMoved, settleLocked } from "../storages/queue.ts";
import { withHeldJob } from "./held.ts";
import { makesSnapshot, publishedBy, publishedOutcome } from "./published.ts";

type In<C extends keyof typeof workerProtocol> = z.output<(typeof workerProtocol)[C]["input"]>;
type Events = In<"heartbeat">["events"];

/** Kinds of jobs whose ends stand in the audit log. */
const AUDITED: readonly JobRow["type"][] = [
  "backup",
  "restore",
  "verify",
  "drill",
  "transfer",
  "expire",
  "audit_archive",
  EDGE_TYPE,
];

/** What the end of such a job is called there. A package's is called the same whether a worker has its bytes or its client says so. */
function auditedAs(job: JobRow, state: JobRow["state"]): string {
  if (job.type !== EDGE_TYPE) return `${job.type}.${state}`;
  return state === "success" || state === "warning" ? "package.completed" : `package.${state}`;
}

/** The calls by which a worker works on a job that it holds. */
export function createJobCalls(deps: ServiceDeps) {
  const { db, clock, feed, vault } = deps;

  const log = async (tx: TenantTx, job: JobRow, events: Events) => {
    if (events.length === 0) return;
    await tx.insert(jobEvents).values(
      events.map((event) => ({
        ...event,
        at: new Date(event.at),
        tenantId: job.tenantId,
        jobId: job.id,
        attempt: job.attempt,
      })),
    );
  };
  const byId = (job: JobRow) => and(eq(jobs.tenantId, job.tenantId), eq(jobs.id, job.id));

  return {
    heartbeat: async (worker: WorkerRow, input: In<"heartbeat">): Promise<WorkerOutput<"heartbeat">> => {
      const cancel = await withHeldJob(db, worker, input, async (tx, job) => {
        await log(tx, job, input.events);
        await tx
          .update(jobs)
          .set({
            heartbeatAt: clock.now(),
            leaseExpiresAt: sql`now() + make_interval(secs => ${LEASE_SECONDS})`,
            ...(input.progress ? { progress: input.progress } : {}),
          })
          .where(byId(job));
        return job.cancelRequestedAt !== null;
      });
      feed.announce(input.job_id);
      return { cancel };
    },

    credentials: async (worker: WorkerRow, input: In<"credentials">): Promise<WorkerOutput<"credentials">> =>
      withHeldJob(db, worker, input, async (tx, job, tenantId) => {
        const id = await credentialOf(tx, job);
        await auditSystem(
          tx,
          tenantId,
          actorOf(worker),
          "credential.handed_out",
          { kind: "credential", id },
          { job_id: job.id },
        );
        return openCredential(tx, vault, tenantId, id);
      }),

    complete: async (worker: WorkerRow, input: In<"complete">): Promise<WorkerOutput<"complete">> => {
      const done = await withHeldJob(db, worker, input, async (tx, job, tenantId) => {
        await log(tx, job, input.events);
        const outcome = await settle(tx, job, input);
        await tx.update(jobs).set(outcome).where(byId(job));
        if (job.type === "backup" && input.result?.type === "backup" && outcome.snapshotId)
          await recordStats(tx, job.tenantId, outcome.snapshotId, input.result);
        await settleChecks(tx, deps, { ...job, ...outcome });
        if (outcome.state === "success") {
          await settleCopies(tx, job, input.result, clock.now());
          if (job.type === "transfer" || job.type === "expire") await finishMoves(tx, job, clock.now());
        }
        if (outcome.state === "failed") await settleLocked(tx, job, outcome.error);
        if (outcome.state === "failed" || outcome.state === "cancelled") await settleHalfMoved(tx, job, clock.now());
        // What the attempt had reserved and not published does not exist.
        await tx
          .delete(snapshots)
          .where(
            and(
              eq(snapshots.tenantId, tenantId),
              eq(snapshots.jobId, job.id),
              eq(snapshots.attempt, job.attempt),
              eq(snapshots.state, "pending"),
            ),
          );
        if (outcome.state !== "queued" && AUDITED.includes(job.type) && !isRoutine({ ...job, ...outcome })) {
          await auditSystem(
            tx,
            tenantId,
            actorOf(worker),
            auditedAs(job, outcome.state),
            { kind: "job", id: job.id },
            {
              attempt: job.attempt,
              ...(input.error ? { code: input.error.code } : {}),
            },
          );
        }
        await tellJobEnded(tx, deps, { ...job, ...outcome });
        if (input.error?.code === "HOST_KEY_CHANGED" && job.sourceId && job.type === "backup")
          await pauseSource(tx, tenantId, job.sourceId);
        return { ...job, ...outcome };
      });
      feed.announce(done.id);
      await announceNext(deps, done);
      return {};
    },

    release: async (worker: WorkerRow, input: In<"release">): Promise<WorkerOutput<"release">> => {
      const released = await withHeldJob(db, worker, input, async (tx, job, tenantId) => {
        await tx
          .delete(snapshots)
          .where(
            and(
              eq(snapshots.tenantId, tenantId),
              eq(snapshots.jobId, job.id),
              eq(snapshots.attempt, job.attempt),
              eq(snapshots.state, "pending"),
            ),
          );
        const now = clock.now();
        const change =
          (await publishedOutcome(tx, job, now)) ??
          (job.cancelRequestedAt !== null
            ? { state: "cancelled" as const, finishedAt: now }
            : // The attempt's number is spent (it fences), but not the chance: a restart of the worker is not the job's fault.
              { state: "queued" as const, workerId: null, runAfter: now, maxAttempts: job.maxAttempts + 1 });
        const [row] = await tx
          .update(jobs)
          .set({ ...change, leaseExpiresAt: null, progress: null })
          .where(byId(job))
          .returning();
        if (row) await tellJobEnded(tx, deps, row);
        return row;
      });
      feed.announce(input.job_id);
      if (released) await announceNext(deps, released);
      return {};
    },
  };

  async function settle(tx: TenantTx, job: JobRow, input: In<"complete">) {
    const now = clock.now();
    if (input.state === "failed" || input.state === "cancelled") {
      const published = await publishedOutcome(tx, job, now);
      if (published) return { ...published, leaseExpiresAt: null };
    }
    const again =
      input.state === "failed" &&
      (input.error?.retry === true || (await canReadAnother(tx, job, input.error))) &&
      job.attempt < job.maxAttempts &&
      job.cancelRequestedAt === null;
    if (again) {
      return {
        state: "queued" as const,
        workerId: null,
        runAfter: new Date(now.getTime() + backoffMs(job.attempt)),
        error: input.error,
        leaseExpiresAt: null,
        progress: null,
      };
    }
    let snapshotId = job.snapshotId;
    if (makesSnapshot(job) && (input.state === "success" || input.state === "warning")) {
      const made = await publishedBy(tx, job);
      if (!made) throw new XVaultError("CONFLICT", "This job cannot succeed without a published snapshot.");
      snapshotId = made.id;
    }
    return {
      state: input.state,
      result: input.result,
      error: input.error,
      snapshotId,
      finishedAt: now,
      leaseExpiresAt: null,
    };
  }

  async function pauseSource(tx: TenantTx, tenantId: TenantId, sourceId: string): Promise<void> {
    const reason = "The server's host key changed. Confirm the new key before anything is sent to it.";
    const [source] = await tx
      .update(sources)
      .set({ state: "paused", pausedReason: reason, updatedAt: clock.now() })
      .where(and(eq(sources.tenantId, tenantId), eq(sources.id, sourceId)))
      .returning();
    if (source) await tellHostKeyChanged(tx, deps, source);
    await auditSystem(tx, tenantId, { kind: "system", id: null, label: "xVault" }, "source.host_key_changed", {
      kind: "source",
      id: sourceId,
    });
  }
}

function actorOf(worker: WorkerRow) {
  return { kind: "worker" as const, id: worker.id, label: worker.name };
}

async function credentialOf(tx: TenantTx, job: JobRow): Promise<string> {
  if (job.type === "backup") {
    const [source] = await tx
      .select()
      .from(sources)
      .where(and(eq(sources.tenantId, job.tenantId), eq(sources.id, job.sourceId ?? "")));
    if (!source) throw new XVaultError("NOT_FOUND", "The source was removed.");
    return connectionOf(source).credential_id;
  }
  const params = job.params as { connection?: unknown };
  const parsed = connectionParams.safeParse(params.connection);
  if (!parsed.success) throw new XVaultError("NOT_FOUND", "This job uses no credential.");
  return parsed.data.credential_id;
}

/** What a run found beside its manifest, by which expiry sees what looks wrong. */
async function recordStats(
  tx: TenantTx,
  tenantId: string,
  snapshotId: string,
  result: Extract<JobResult, { type: "backup" }>,
): Promise<void> {
  const { files, unchanged_files, unchanged_bytes, plain_bytes, canaries } = result;
  await tx
    .update(snapshots)
    .set({ stats: { files, unchanged_files, unchanged_bytes, plain_bytes, ...(canaries ? { canaries } : {}) } })
    .where(and(eq(snapshots.tenantId, tenantId), eq(snapshots.id, snapshotId)));
}
