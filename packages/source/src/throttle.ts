import type { BandwidthWindow } from "@xvault/contracts";

/** How fast a source may be read. */
export interface RateLimit {
  /** While no window holds; null: as fast as it goes. */
  bytesPerSecond: number | null;
  /** The first that holds decides. */
  windows: readonly BandwidthWindow[];
}

/** The seam for time. */
export interface ThrottleClock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Calls once, some time after so many milliseconds. */
  later(ms: number, work: () => void): void;
}

const systemTime: ThrottleClock = { now: () => Date.now(), later: (ms, work) => void setTimeout(work, ms) };

/** What may come at once after a pause, where the rate is low. Bytes. */
const LEAST_BURST = 64 * 1024;
/** How long a look at the windows holds. */
const LOOK_MS = 1000;

/**
 * A token bucket for what is received. Bytes are charged when they arrive; a sender is asked for more only while something is left. It may run
 * into debt by what a peer was allowed to send before (the first 2 MiB of each channel), which is paid back before anything more is asked for.
 */
export class Throttle {
  readonly #limit: RateLimit;
  readonly #clock: ThrottleClock;
  #rate: number | null;
  #lookedAt: number;
  #filledAt: number;
  #level: number;
  readonly #waiting = new Set<() => void>();
  #timer = false;

  constructor(limit: RateLimit, clock: ThrottleClock = systemTime) {
    this.#limit = limit;
    this.#clock = clock;
    const now = clock.now();
    this.#rate = rateAt(limit, now);
    this.#lookedAt = now;
    this.#filledAt = now;
    this.#level = this.burst;
  }

  /** The most that is ever saved up: half a second's worth. */
  get burst(): number {
    return this.#rate === null ? Number.POSITIVE_INFINITY : Math.max(LEAST_BURST, this.#rate / 2);
  }

  /** True while somebody waits for his share: then silence on the link is ours. */
  get holds(): boolean {
    return this.#waiting.size > 0;
  }

  /** So many bytes have arrived. */
  spend(bytes: number): void {
    this.#fill();
    if (this.#rate !== null) this.#level -= bytes;
  }

  /** How many bytes may be asked for now; negative while a debt is paid back. */
  left(): number {
    this.#fill();
    return this.#rate === null ? Number.POSITIVE_INFINITY : this.#level;
  }

  /** Calls once when it is worth asking again for `bytes`. */
  wait(bytes: number, again: () => void): void {
    this.#waiting.add(again);
    if (this.#timer) return;
    this.#timer = true;
    const missing = Math.min(bytes, this.burst) - this.#level;
    const ms = this.#rate === null ? 0 : Math.min(LOOK_MS, Math.max(1, Math.ceil((missing / this.#rate) * 1000)));
    this.#clock.later(ms, () => {
      this.#timer = false;
      const all = [...this.#waiting];
      this.#waiting.clear();
      for (const one of all) one();
    });
  }

  #fill(): void {
    const now = this.#clock.now();
    if (this.#rate !== null) {
      const passed = Math.max(0, now - this.#filledAt);
      this.#level = Math.min(this.burst, this.#level + (this.#rate * passed) / 1000);
    }
    this.#filledAt = now;
    if (Math.abs(now - this.#lookedAt) < LOOK_MS) return;
    this.#lookedAt = now;
    const before = this.#rate;
    this.#rate = rateAt(this.#limit, now);
    if (before === null && this.#rate !== null) this.#level = 0;
    this.#level = Math.min(this.#level, this.burst);
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
