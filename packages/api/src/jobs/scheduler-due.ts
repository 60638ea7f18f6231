import { and, eq, inArray, isNull, jobs, type ScheduleRow, schedules, sources } from "@xvault/db";
import type { TenantId } from "@xvault/kernel";
import { auditSystem } from "../audit.ts";
import type { ServiceDeps } from "../deps.ts";
import { followingRun } from "../schedules/cron.ts";
import { announceJob } from "./announce.ts";
import { insertJob } from "./enqueue.ts";

const SYSTEM = { kind: "system", id: null, label: "xVault" } as const;

/** What was written later than this was written by a clock that was ahead (clocks of several hubs differ by less). */
export function latestHonest(now: Date): Date {
  return new Date(now.getTime() + 5 * 60_000);
}

function isFromTheFuture(schedule: ScheduleRow, now: Date): boolean {
  const latest = latestHonest(now);
  return (schedule.lastRunAt !== null && schedule.lastRunAt > latest) || schedule.updatedAt > latest;
}

/**
 * Queues the backup that a schedule is due for, and says when the next one is. One whose due time a clock that was ahead has written gets the
 * next one by the present clock.
 *
 * @throws SCHEDULE_INVALID where its expression cannot be read (any more)
 */
export async function runSchedule(deps: ServiceDeps, tenantId: TenantId, scheduleId: string): Promise<void> {
  const { db, clock } = deps;
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
        const next = followingRun(schedule.cron, schedule.timezone, now);
        await tx.update(schedules).set({ nextRunAt: next, lastRunAt: now, updatedAt: now }).where(mine);
      }
      return null;
    }
    await tx
      .update(schedules)
      .set({ lastRunAt: now, nextRunAt: followingRun(schedule.cron, schedule.timezone, now) })
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
    await auditSystem(tx, tenantId, SYSTEM, "backup.scheduled", { kind: "source", id: source.id }, { job_id: made.id });
    return made;
  });
  if (job) await announceJob(deps, job);
}
