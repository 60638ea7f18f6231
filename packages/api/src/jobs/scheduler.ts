import {
  and,
  eq,
  gt,
  inArray,
  isNotNull,
  isNull,
  jobs,
  lt,
  lte,
  ne,
  or,
  type ScheduleRow,
  schedules,
  snapshots,
  sources,
  sql,
  type TenantTx,
} from "@xvault/db";
import type { TenantId } from "@xvault/kernel";
import { auditSystem } from "../audit.ts";
import { createCheckRounds } from "../checks/rounds.ts";
import { settleChecks } from "../checks/settle.ts";
import type { ServiceDeps } from "../deps.ts";
import { tellJobEnded } from "../notices/job-ended.ts";
import { watchOverdue } from "../notices/overdue.ts";
import { sweepIdempotencyKeys } from "../idempotency/service.ts";
import { nextRun } from "../schedules/cron.ts";
import { publishedOutcome } from "../workers/published.ts";
import { announceJob } from "./announce.ts";
import { insertJob } from "./enqueue.ts";
import { announceNext } from "./next.ts";
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

/** What was written later than this was written by a clock that was ahead (clocks of several hubs differ by less). */
function latestHonest(now: Date): Date {
  return new Date(now.getTime() + 5 * 60_000);
}

function isFromTheFuture(schedule: ScheduleRow, now: Date): boolean {
  const latest = latestHonest(now);
  return (schedule.lastRunAt !== null && schedule.lastRunAt > latest) || schedule.updatedAt > latest;
}

export function createScheduler(deps: ServiceDeps, options: { tickMs?: number } = {}): Scheduler {
  const { db, clock, log } = deps;
  const rounds = createCheckRounds(deps);
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> = Promise.resolve();
  // After an outage no worker could renew its lease: nothing is taken from them for one lease time. By a clock that is never set.
  let reapFrom = 0;
  let lastTurn = 0;
  let watchFrom = 0;

  async function runSchedule(tenantId: TenantId, scheduleId: string): Promise<void> {
    const job = await db.withTenant(tenantId, async (tx) => {
      const now = clock.now();
      const mine = and(eq(schedules.tenantId, tenantId), eq(schedules.id, scheduleId));
      const [schedule] = await tx
        .select()
        .from(schedules)
        .where(and(mine, eq(schedules.enabled, true)))
        .for("update", { skipLocked: true });
      if (!schedule?.nextRunAt) return null;
      if (schedule.nextRunAt > now) {
        // Written by a clock that was ahead: left alone, it would keep the source unprotected until that time comes.
        if (isFromTheFuture(schedule, now)) {
          const next = nextRun(schedule.cron, schedule.timezone, now);
          await tx.update(schedules).set({ nextRunAt: next, lastRunAt: now, updatedAt: now }).where(mine);
        }
        return null;
      }
      await tx
        .update(schedules)
        .set({ lastRunAt: now, nextRunAt: nextRun(schedule.cron, schedule.timezone, now) })
        .where(mine);
      const [source] = await tx
        .select()
        .from(sources)
        .where(and(eq(sources.tenantId, tenantId), eq(sources.id, schedule.sourceId), isNull(sources.deletedAt)));
      if (source?.state !== "active" || source.kind !== "ssh") return null;
      // A run that still waits or works covers this one too.
      const [busy] = await tx
        .select({ id: jobs.id })
        .from(jobs)
        .where(
          and(
            eq(jobs.tenantId, tenantId),
            eq(jobs.sourceId, source.id),
            eq(jobs.type, "backup"),
            inArray(jobs.state, ["queued", "running"]),
          ),
        )
        .limit(1);
      if (busy) return null;
      const made = await insertJob(tx, {
        tenantId,
        type: "backup",
        trigger: "schedule",
        params: { paths: source.paths },
        sourceId: source.id,
        targetWorkerId: source.workerId,
        now,
      });
      await auditSystem(
        tx,
        tenantId,
        SYSTEM,
        "backup.scheduled",
        { kind: "source", id: source.id },
        { job_id: made.id },
      );
      return made;
    });
    if (job) await announceJob(deps, job);
  }

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
              or(
                lte(schedules.nextRunAt, clock.now()),
                gt(schedules.lastRunAt, latestHonest(clock.now())),
                gt(schedules.updatedAt, latestHonest(clock.now())),
              ),
            ),
          )
          .limit(500),
      );
      for (const one of due) await runSchedule(one.tenantId as TenantId, one.id);
    },

    async reapExpiredLeases() {
      const silent = await db.withSystem((tx) =>
        tx
          .select({ id: jobs.id, tenantId: jobs.tenantId })
          .from(jobs)
          .where(and(eq(jobs.state, "running"), lt(jobs.leaseExpiresAt, sql`now()`)))
          .limit(500),
      );
      for (const one of silent) await reap(one.tenantId as TenantId, one.id);
    },

    async bringForward() {
      const latest = latestHonest(clock.now());
      const early = and(eq(jobs.state, "queued"), ne(jobs.type, EDGE_TYPE), gt(jobs.runAfter, latest));
      const waiting = await db.withSystem((tx) => tx.select().from(jobs).where(early).limit(500));
      for (const job of waiting) {
        // A job that failed waits for a while; nothing waits for longer than that.
        if (job.runAfter.getTime() <= latest.getTime() + longestBackoffMs(job.attempt)) continue;
        const same = and(early, eq(jobs.id, job.id), eq(jobs.attempt, job.attempt));
        await db.withSystem((tx) => tx.update(jobs).set({ runAfter: clock.now() }).where(same));
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
      for (const job of waiting) await announceJob(deps, job);
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
        try {
          await scheduler.runDueSchedules();
          if (now >= reapFrom) await scheduler.reapExpiredLeases();
          await scheduler.bringForward();
          await scheduler.announceWaiting();
          await scheduler.sweepInteractive();
          if (now >= watchFrom) {
            await watchOverdue(deps);
            watchFrom = now + WATCH_EVERY;
          }
          await sweepIdempotencyKeys(deps);
          await rounds.turn();
          lastTurn = performance.now();
        } catch (error) {
          log.error({ err: error }, "a turn of the scheduler failed; the next one tries again");
        }
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
