import {
  and,
  eq,
  gt,
  inArray,
  isNotNull,
  jobs,
  lt,
  lte,
  ne,
  notInArray,
  or,
  schedules,
  snapshots,
  sql,
  type TenantTx,
} from "@xvault/db";
import { isXVaultError, type TenantId } from "@xvault/kernel";
import { auditSystem } from "../audit.ts";
import { createCheckRounds } from "../checks/rounds.ts";
import { settleChecks } from "../checks/settle.ts";
import type { ServiceDeps } from "../deps.ts";
import { tellJobEnded } from "../notices/job-ended.ts";
import { watchOverdue } from "../notices/overdue.ts";
import { sweepIdempotencyKeys } from "../idempotency/service.ts";
import { publishedOutcome } from "../workers/published.ts";
import { announceJob } from "./announce.ts";
import { announceNext } from "./next.ts";
import { latestHonest, runSchedule } from "./scheduler-due.ts";
import { createItems } from "./scheduler-put-off.ts";
import { EDGE_TYPE, INTERACTIVE_TYPES, LEASE_SECONDS, longestBackoffMs } from "./states.ts";

const SYSTEM = { kind: "system", id: null, label: "xVault" } as const;
/** What a screen asked and got answered is of no use later: kept this long, in milliseconds. */
const INTERACTIVE_KEPT = 10 * 60_000;
/** How often sources are looked at that may be overdue, in milliseconds: they are so by the hour. */
const WATCH_EVERY = 60_000;

/** The hub's own clockwork. Several hubs may run it at once: every step locks what it touches. */
export interface Scheduler {
  /** Queues what is due. Missed runs are made up for once. */
  runDueSchedules(): Promise<void>;
  /** Takes jobs back whose worker fell silent for longer than the lease. */
  reapExpiredLeases(): Promise<void>;
  /** Gives jobs that wait for a time which only a clock that was ahead can have set the present one. */
  bringForward(): Promise<void>;
  /** Announces what waits and nobody took, and what was to wait and has: the queue may have lost it (PostgreSQL is the truth). */
  announceWaiting(): Promise<void>;
  /** Forgets interactive jobs that are over. */
  sweepInteractive(): Promise<void>;
  start(): void;
  stop(): Promise<void>;
}

export function createScheduler(deps: ServiceDeps, options: { tickMs?: number } = {}): Scheduler {
  const { db, clock, log } = deps;
  const rounds = createCheckRounds(deps);
  const dueSchedules = createItems(log, {
    kind: "scheduleId",
    failed: "a schedule could not be run; it is tried again",
  });
  const silentJobs = createItems(log, { kind: "jobId", failed: "a job could not be taken back; it is tried again" });
  const earlyJobs = createItems(log, {
    kind: "jobId",
    failed: "a job could not be brought forward; it is tried again",
  });
  const waitingJobs = createItems(log, { kind: "jobId", failed: "a job could not be announced; it is tried again" });
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> = Promise.resolve();
  // After an outage no worker could renew its lease: nothing is taken from them for one lease time. By a clock that is never set.
  let reapFrom = 0;
  let lastTurn = 0;
  let watchFrom = 0;

  async function reap(tenantId: TenantId, jobId: string): Promise<void> {
    const row = await db.withTenant(tenantId, async (tx) => {
      const mine = and(eq(jobs.tenantId, tenantId), eq(jobs.id, jobId));
      const [job] = await tx
        .select()
        .from(jobs)
        .where(and(mine, eq(jobs.state, "running"), lt(jobs.leaseExpiresAt, sql`now()`)))
        .for("update", { skipLocked: true });
      if (!job) return null;
      const silence = {
        code: "LEASE_LOST",
        message: "The worker that ran this job fell silent.",
        fix: "See whether the worker still runs; the job is tried again by itself while attempts are left.",
        retry: true,
      };
      const now = clock.now();
      const change =
        (await publishedOutcome(tx, job, now)) ??
        (job.cancelRequestedAt !== null
          ? { state: "cancelled" as const, finishedAt: now, error: silence }
          : // A package whose worker fell silent waits for its client to send it anew, however often that was.
            job.type === EDGE_TYPE || job.attempt < job.maxAttempts
            ? { state: "queued" as const, runAfter: now, error: silence }
            : { state: "failed" as const, finishedAt: now, error: silence });
      // A job that waits still has its worker and what that had reserved: it may come back before somebody else takes it.
      if (change.state !== "queued") await dropPending(tx, tenantId, jobId);
      const [changed] = await tx
        .update(jobs)
        .set({ ...change, leaseExpiresAt: null, progress: null })
        .where(mine)
        .returning();
      await auditSystem(
        tx,
        tenantId,
        SYSTEM,
        "job.lease_expired",
        { kind: "job", id: jobId },
        { attempt: job.attempt, state: change.state },
      );
      if (changed) {
        await settleChecks(tx, deps, changed);
        await tellJobEnded(tx, deps, changed);
      }
      return changed ?? null;
    });
    if (!row) return;
    deps.feed.announce(jobId);
    await announceNext(deps, row);
  }

  const scheduler: Scheduler = {
    async runDueSchedules() {
      const due = await db.withSystem((tx) =>
        tx
          .select({ id: schedules.id, tenantId: schedules.tenantId })
          .from(schedules)
          .where(
            and(
              eq(schedules.enabled, true),
              isNotNull(schedules.nextRunAt),
              notInArray(schedules.id, dueSchedules.putOff()),
              or(
                lte(schedules.nextRunAt, clock.now()),
                gt(schedules.lastRunAt, latestHonest(clock.now())),
                gt(schedules.updatedAt, latestHonest(clock.now())),
              ),
            ),
          )
          .limit(500),
      );
      for (const { id, tenantId } of due)
        await dueSchedules.attempt(id, () => runSchedule(deps, tenantId as TenantId, id));
    },

    async reapExpiredLeases() {
      const silent = await db.withSystem((tx) =>
        tx
          .select({ id: jobs.id, tenantId: jobs.tenantId })
          .from(jobs)
          .where(
            and(
              eq(jobs.state, "running"),
              lt(jobs.leaseExpiresAt, sql`now()`),
              notInArray(jobs.id, silentJobs.putOff()),
            ),
          )
          .limit(500),
      );
      for (const { id, tenantId } of silent) await silentJobs.attempt(id, () => reap(tenantId as TenantId, id));
    },

    async bringForward() {
      const latest = latestHonest(clock.now());
      const early = and(eq(jobs.state, "queued"), ne(jobs.type, EDGE_TYPE), gt(jobs.runAfter, latest));
      const waiting = await db.withSystem((tx) => tx.select().from(jobs).where(early).limit(500));
      for (const job of waiting) {
        // A job that failed waits for a while; nothing waits for longer than that.
        if (job.runAfter.getTime() <= latest.getTime() + longestBackoffMs(job.attempt)) continue;
        const same = and(early, eq(jobs.id, job.id), eq(jobs.attempt, job.attempt));
        await earlyJobs.attempt(job.id, () =>
          db.withSystem(async (tx) => void (await tx.update(jobs).set({ runAfter: clock.now() }).where(same))),
        );
      }
    },

    async announceWaiting() {
      const waiting = await db.withSystem((tx) =>
        tx
          .select()
          .from(jobs)
          .where(and(eq(jobs.state, "queued"), ne(jobs.type, EDGE_TYPE), lte(jobs.runAfter, clock.now())))
          // By lot: jobs that wait for a worker which is away must not keep the others from ever being announced.
          .orderBy(sql`random()`)
          .limit(500),
      );
      for (const job of waiting) await waitingJobs.attempt(job.id, () => announceJob(deps, job));
    },

    async sweepInteractive() {
      const before = new Date(clock.now().getTime() - INTERACTIVE_KEPT);
      await db.withSystem((tx) =>
        tx.delete(jobs).where(and(inArray(jobs.type, [...INTERACTIVE_TYPES]), lt(jobs.createdAt, before))),
      );
    },

    start() {
      const tickMs = options.tickMs ?? 5000;
      const tick = async () => {
        const now = performance.now();
        // The first turn, or the first that went well after the hub stood still or its database was away.
        if (lastTurn === 0 || now - lastTurn > tickMs + (LEASE_SECONDS * 1000) / 4)
          reapFrom = now + LEASE_SECONDS * 1000;
        const mayWatch = now >= watchFrom;
        if (mayWatch) watchFrom = now + WATCH_EVERY;
        const steps: [name: string, work: () => Promise<void>][] = [
          ["due schedules", () => scheduler.runDueSchedules()],
          ["expired leases", async () => void (now >= reapFrom && (await scheduler.reapExpiredLeases()))],
          ["jobs from the future", () => scheduler.bringForward()],
          ["waiting jobs", () => scheduler.announceWaiting()],
          ["interactive jobs", () => scheduler.sweepInteractive()],
          ["overdue sources", async () => void (mayWatch && (await watchOverdue(deps)))],
          ["idempotency keys", () => sweepIdempotencyKeys(deps)],
          ["checks", () => rounds.turn()],
        ];
        for (const [step, work] of steps) {
          try {
            await work();
          } catch (error) {
            log.error({ err: error, step }, "a step of the scheduler failed; the next turn tries again");
            // Every step needs the database; and a turn without it is none, see above.
            if (isXVaultError(error, "UNAVAILABLE")) return;
          }
        }
        lastTurn = performance.now();
      };
      timer = setInterval(() => {
        running = running.then(tick);
      }, tickMs);
    },

    async stop() {
      clearInterval(timer);
      await running;
    },
  };
  return scheduler;
}

async function dropPending(tx: TenantTx, tenantId: TenantId, jobId: string): Promise<void> {
  await tx
    .delete(snapshots)
    .where(and(eq(snapshots.tenantId, tenantId), eq(snapshots.jobId, jobId), eq(snapshots.state, "pending")));
}
