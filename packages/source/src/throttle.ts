import type { BandwidthWindow } from "@xvault/contracts";
import { type BucketClock, TokenBucket } from "@xvault/kernel";

/** How fast a source may be read. */
export interface RateLimit {
  /** While no window holds; null: as fast as it goes. */
  bytesPerSecond: number | null;
  /** The first that holds decides. */
  windows: readonly BandwidthWindow[];
}

/**
 * What is received, by a token bucket. Bytes are charged when they arrive; a sender is asked for more only while something is left. It may run
 * into debt by what a peer was allowed to send before (the first 2 MiB of each channel). While it holds, silence on the link is ours.
 */
export class Throttle extends TokenBucket {
  constructor(limit: RateLimit, clock?: BucketClock) {
    super((ms) => rateAt(limit, ms), clock);
  }
}

/** What a limit allows at a moment, in bytes per second; null: no limit. */
export function rateAt(limit: RateLimit, ms: number): number | null {
  for (const window of limit.windows) if (holds(window, ms)) return window.bytes_per_second;
  return limit.bytesPerSecond;
}

function holds({ days, from, to, timezone }: BandwidthWindow, ms: number): boolean {
  const { day, minute } = wallClock(timezone, ms);
  const [start, end] = [minutes(from), minutes(to)];
  if (end > start) return days.includes(day) && minute >= start && minute < end;
  // It ends on the day after the one that it belongs to.
  return (days.includes(day) && minute >= start) || (days.includes((day + 6) % 7) && minute < end);
}

function minutes(text: string): number {
  const [hours = 0, rest = 0] = text.split(":").map(Number);
  return hours * 60 + rest;
}

const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const formats = new Map<string, Intl.DateTimeFormat>();

function wallClock(timezone: string, ms: number): { day: number; minute: number } {
  let format = formats.get(timezone);
  if (!format) {
    format = new Intl.DateTimeFormat("en-US", {
      timeZone: timezone,
      weekday: "short",
      hour: "2-digit",
      minute: "2-digit",
      hourCycle: "h23",
    });
    formats.set(timezone, format);
  }
  const parts = new Map(format.formatToParts(ms).map(({ type, value }) => [type, value]));
  const minute = Number(parts.get("hour")) * 60 + Number(parts.get("minute"));
  return { day: DAYS.indexOf(parts.get("weekday") ?? ""), minute };
}
