/** The seam for time that goes on by itself: what waits is called back. */
export interface BucketClock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Calls once, some time after so many milliseconds. */
  later(ms: number, work: () => void): void;
}

const systemTime: BucketClock = { now: () => Date.now(), later: (ms, work) => void setTimeout(work, ms) };

/** What may pass at once after a pause, where the rate is low. Bytes. */
const LEAST_BURST = 64 * 1024;
/** How long a look at the rate holds. */
const LOOK_MS = 1000;

/**
 * A token bucket for bytes. `rateAt` gives the bytes per second of a moment, null for no limit, and is asked about once a second. Whoever
 * cannot refuse bytes charges them when they have come, which may leave a debt that is paid back before anything more passes.
 */
export class TokenBucket {
  readonly #rateAt: (ms: number) => number | null;
  readonly #clock: BucketClock;
  #rate: number | null;
  #lookedAt: number;
  #filledAt: number;
  #level: number;
  readonly #waiting = new Set<() => void>();
  #timer = false;

  constructor(rateAt: (ms: number) => number | null, clock: BucketClock = systemTime) {
    this.#rateAt = rateAt;
    this.#clock = clock;
    const now = clock.now();
    this.#rate = rateAt(now);
    this.#lookedAt = now;
    this.#filledAt = now;
    this.#level = this.burst;
  }

  /** The most that is ever saved up: half a second's worth. */
  get burst(): number {
    return this.#rate === null ? Number.POSITIVE_INFINITY : Math.max(LEAST_BURST, this.#rate / 2);
  }

  /** True while somebody waits for his share. */
  get holds(): boolean {
    return this.#waiting.size > 0;
  }

  /** So many bytes have passed. */
  spend(bytes: number): void {
    this.#fill();
    if (this.#rate !== null) this.#level -= bytes;
  }

  /** How many bytes may pass now; negative while a debt is paid back. */
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
    this.#rate = this.#rateAt(now);
    if (before === null && this.#rate !== null) this.#level = 0;
    this.#level = Math.min(this.#level, this.burst);
  }
}
