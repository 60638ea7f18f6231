import { XVaultError } from "@xvault/kernel";
import { Cron } from "croner";

/** The least time between two runs of a schedule, in milliseconds. */
const MIN_GAP = 5 * 60_000;

/** The next `count` runs after `from`. @throws SCHEDULE_INVALID, SCHEDULE_TOO_FREQUENT */
export function nextRuns(cron: string, timezone: string, from: Date, count: number): Date[] {
  let runs: Date[];
  try {
    runs = new Cron(cron, { timezone, paused: true, mode: "5-part" }).nextRuns(Math.max(count, 10), from);
  } catch (cause) {
    throw new XVaultError("SCHEDULE_INVALID", undefined, { cause });
  }
  if (runs.length === 0) throw new XVaultError("SCHEDULE_INVALID", "The schedule never runs.");
  for (let i = 1; i < runs.length; i += 1) {
    const gap = (runs[i]?.getTime() ?? 0) - (runs[i - 1]?.getTime() ?? 0);
    if (gap < MIN_GAP) throw new XVaultError("SCHEDULE_TOO_FREQUENT");
  }
  return runs.slice(0, count);
}

/** The next run after `from`. */
export function nextRun(cron: string, timezone: string, from: Date): Date {
  const [next] = nextRuns(cron, timezone, from, 1);
  if (!next) throw new XVaultError("SCHEDULE_INVALID", "The schedule never runs.");
  return next;
}
