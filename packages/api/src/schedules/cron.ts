import { XVaultError } from "@xvault/kernel";
import { Cron } from "croner";
import { runsTooOften } from "./gaps.ts";

/**
 * The next `count` runs after `from` of a schedule that somebody is about to set: here alone it is judged.
 *
 * @throws SCHEDULE_INVALID also for what runs once or never; SCHEDULE_TOO_FREQUENT where any two runs are ever too close, not only the next ones
 */
export function nextRuns(cron: string, timezone: string, from: Date, count: number): Date[] {
  const runs = runsAfter(cron, timezone, from, Math.max(count, 2));
  if (runs.length === 0) throw new XVaultError("SCHEDULE_INVALID", "The schedule never runs.");
  // The library takes a date for an expression, too.
  if (runs.length === 1) throw new XVaultError("SCHEDULE_INVALID", "The schedule runs only once.");
  if (runsTooOften(cron, from)) throw new XVaultError("SCHEDULE_TOO_FREQUENT");
  return runs.slice(0, count);
}

/** The next run after `from` of a schedule that somebody sets. @throws as {@link nextRuns} */
export function nextRun(cron: string, timezone: string, from: Date): Date {
  const [next] = nextRuns(cron, timezone, from, 1);
  if (!next) throw new XVaultError("SCHEDULE_INVALID", "The schedule never runs.");
  return next;
}

/**
 * The next run after `from` of a schedule that is there; null where it never runs again. It was judged when it was set: whatever the rules are
 * by now, a run that is due is made up for and the next one is due.
 *
 * @throws SCHEDULE_INVALID where it cannot be read, its time zone perhaps not any more
 */
export function followingRun(cron: string, timezone: string, from: Date): Date | null {
  return runsAfter(cron, timezone, from, 1)[0] ?? null;
}

function runsAfter(cron: string, timezone: string, from: Date, count: number): Date[] {
  try {
    return new Cron(cron, { timezone, paused: true, mode: "5-part" }).nextRuns(count, from);
  } catch (cause) {
    throw new XVaultError("SCHEDULE_INVALID", undefined, { cause });
  }
}
