import type { Schedule } from "@xvault/contracts";
import { and, eq, schedules, type ScheduleRow } from "@xvault/db";
import { newId, type ScheduleId, XVaultError } from "@xvault/kernel";
import { auditCall } from "../audit.ts";
import type { ServiceDeps } from "../deps.ts";
import type { ScheduleService } from "../services.ts";
import { checkNotAudit } from "../sources/audit-source.ts";
import { findSource } from "../sources/find.ts";
import { followingRun, nextRun, nextRuns } from "./cron.ts";

function toSchedule(row: ScheduleRow): Schedule {
  return {
    id: row.id,
    source_id: row.sourceId,
    cron: row.cron,
    timezone: row.timezone,
    enabled: row.enabled,
    next_run_at: row.nextRunAt?.toISOString() ?? null,
    last_run_at: row.lastRunAt?.toISOString() ?? null,
  };
}

export function createScheduleService({ db, clock }: Pick<ServiceDeps, "db" | "clock">): ScheduleService {
  return {
    list: (caller) =>
      db.withTenant(caller.actor.workspace.id, async (tx) => {
        const rows = await tx.select().from(schedules).where(eq(schedules.tenantId, caller.actor.workspace.id));
        return rows.map(toSchedule);
      }),

    create: (caller, input) =>
      db.withTenant(caller.actor.workspace.id, async (tx) => {
        const source = await findSource(tx, caller, input.source_id);
        checkNotAudit(source);
        const [row] = await tx
          .insert(schedules)
          .values({
            id: newId<ScheduleId>(),
            tenantId: caller.actor.workspace.id,
            sourceId: source.id,
            cron: input.cron,
            timezone: input.timezone,
            enabled: input.enabled,
            nextRunAt: nextRun(input.cron, input.timezone, clock.now()),
          })
          .returning();
        if (!row) throw new XVaultError("INTERNAL");
        await auditCall(
          tx,
          caller,
          "schedule.created",
          { kind: "schedule", id: row.id },
          { source_id: source.id, cron: row.cron },
        );
        return toSchedule(row);
      }),

    update: (caller, input) =>
      db.withTenant(caller.actor.workspace.id, async (tx) => {
        const mine = and(eq(schedules.tenantId, caller.actor.workspace.id), eq(schedules.id, input.id));
        const [found] = await tx.select().from(schedules).where(mine).for("update");
        if (!found) throw new XVaultError("NOT_FOUND");
        const cron = input.cron ?? found.cron;
        const timezone = input.timezone ?? found.timezone;
        // One that was accepted can always be switched off and on, whatever is refused by now.
        const isAnother = cron !== found.cron || timezone !== found.timezone;
        const [row] = await tx
          .update(schedules)
          .set({
            cron,
            timezone,
            enabled: input.enabled ?? found.enabled,
            nextRunAt: (isAnother ? nextRun : followingRun)(cron, timezone, clock.now()),
            updatedAt: clock.now(),
          })
          .where(mine)
          .returning();
        if (!row) throw new XVaultError("NOT_FOUND");
        await auditCall(
          tx,
          caller,
          "schedule.updated",
          { kind: "schedule", id: row.id },
          { cron, timezone, enabled: row.enabled },
        );
        return toSchedule(row);
      }),

    remove: (caller, id) =>
      db.withTenant(caller.actor.workspace.id, async (tx) => {
        const removed = await tx
          .delete(schedules)
          .where(and(eq(schedules.tenantId, caller.actor.workspace.id), eq(schedules.id, id)))
          .returning();
        if (removed.length === 0) throw new XVaultError("NOT_FOUND");
        await auditCall(tx, caller, "schedule.removed", { kind: "schedule", id });
      }),

    preview: (cron, timezone, count) => nextRuns(cron, timezone, clock.now(), count).map((run) => run.toISOString()),
  };
}
