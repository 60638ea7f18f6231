const PERIODS = ["hourly", "daily", "weekly", "monthly", "yearly"] as const;
export type Period = (typeof PERIODS)[number];
export { PERIODS };

const formats = new Map<string, Intl.DateTimeFormat>();

/** The date in a time zone as year, month and day. */
function dateIn(timezone: string, at: Date): { year: number; month: number; day: number } {
  let format = formats.get(timezone);
  if (!format) {
    format = new Intl.DateTimeFormat("en-US", {
      timeZone: timezone,
      calendar: "gregory",
      year: "numeric",
      month: "numeric",
      day: "numeric",
    });
    formats.set(timezone, format);
  }
  const parts = Object.fromEntries(format.formatToParts(at).map(({ type, value }) => [type, Number(value)]));
  return { year: parts["year"] ?? 0, month: parts["month"] ?? 0, day: parts["day"] ?? 0 };
}

/** The Monday of a day's week, as a number of days: ISO 8601 weeks, which do not end with the year. */
function weekOf(year: number, month: number, day: number): number {
  const days = Math.floor(Date.UTC(year, month - 1, day) / 86_400_000);
  // Day 0, 1 January 1970, was a Thursday.
  return days - ((days + 3) % 7);
}

/** Names the hour, day, week, month and year that a moment belongs to; equal names are the same period. */
export function periodsOf(at: Date, timezone: string): Record<Period, string> {
  const { year, month, day } = dateIn(timezone, at);
  return {
    // Hours are counted, not read off a clock: one that is put back shows an hour twice.
    hourly: String(Math.floor(at.getTime() / 3_600_000)),
    daily: `${year}-${month}-${day}`,
    weekly: String(weekOf(year, month, day)),
    monthly: `${year}-${month}`,
    yearly: String(year),
  };
}
