import { Cron } from "croner";

/** The least time between two runs of a schedule, in milliseconds. */
const MIN_GAP = 5 * 60_000;
const DAY = 24 * 60 * 60_000;
/** So far ahead days are looked for on which it runs one after the other: over a leap day. In milliseconds. */
const HORIZON = 4 * 366 * DAY;

/**
 * Whether two runs of a schedule are ever closer than five minutes, within four years. By the wall clock: what a change to summer time
 * brings together once a year is no reason to refuse it.
 *
 * On every day on which a cron expression runs it does so at the same times. So one such day is gone through; days are looked at only where
 * the last run of one and the first of the next would be close.
 */
export function runsTooOften(cron: string, from: Date): boolean {
  // Where no clock ever changes, the wall clock is that of the running hours.
  const wall = new Cron(cron, { timezone: "UTC", paused: true, mode: "5-part" });
  const next = (after: number) => wall.nextRun(new Date(after))?.getTime() ?? Number.POSITIVE_INFINITY;
  const dayOf = (at: number) => at - (at % DAY);

  let day = dayOf(next(from.getTime()));
  if (!Number.isFinite(day)) return false;
  const first = next(day - 1000);
  let last = first;
  for (let at = next(first); at < day + DAY; at = next(at)) {
    if (at - last < MIN_GAP) return true;
    last = at;
  }
  if (first + DAY - last >= MIN_GAP) return false;
  const end = day + HORIZON;
  while (day < end) {
    const following = dayOf(next(day + DAY - 1000));
    if (following - day === DAY) return true;
    // Infinity, or not a number: it never runs again.
    if (!Number.isFinite(following)) return false;
    day = following;
  }
  return false;
}
