/**
 * A bounded queue between one or more producers and one consumer. A producer awaits what `push` returns before it pushes more; the
 * consumer iterates. After `fail` the consumer gets the error at once: what is still queued is worthless then.
 */
export class AsyncQueue<T extends object> implements AsyncIterable<T> {
  #items: (T | undefined)[] = [];
  #head = 0;
  #ended = false;
  #error: unknown = null;
  #wake: (() => void) | null = null;
  #room: (() => void)[] = [];
  readonly #limit: number;

  constructor(limit: number = Number.POSITIVE_INFINITY) {
    this.#limit = limit;
  }

  get length(): number {
    return this.#items.length - this.#head;
  }

  /** Resolves when there is room for more. Items pushed after the end are dropped. */
  push(item: T): Promise<void> | undefined {
    if (this.#ended) return undefined;
    this.#items.push(item);
    this.#wakeConsumer();
    if (this.length < this.#limit) return undefined;
    return new Promise((resolve) => {
      this.#room.push(resolve);
    });
  }

  end(): void {
    this.#ended = true;
    this.#wakeConsumer();
    this.#release();
  }

  fail(error: unknown): void {
    this.#error ??= error ?? new Error("failed");
    this.end();
  }

  /** The next item, or undefined at the end. Leaves the rest alone, where breaking off an iteration drops it. */
  async shift(): Promise<T | undefined> {
    for (;;) {
      if (this.#error) throw this.#error;
      if (this.#head < this.#items.length) return this.#take();
      if (this.#ended) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    try {
      for (;;) {
        const item = await this.shift();
        if (item === undefined) return;
        yield item;
      }
    } finally {
      this.#ended = true;
      this.#items = [];
      this.#head = 0;
      this.#release();
    }
  }

  #take(): T {
    const item = this.#items[this.#head] as T;
    this.#items[this.#head++] = undefined;
    if (this.#head === this.#items.length || this.#head > 1024) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    if (this.length < this.#limit) this.#release();
    return item;
  }

  #wakeConsumer(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }

  #release(): void {
    const waiting = this.#room;
    this.#room = [];
    for (const resolve of waiting) resolve();
  }
}

/** A count of something scarce, taken in order by one taker. */
export class Budget {
  #free: number;
  readonly #total: number;
  #waiting: { amount: number; resolve: () => void } | null = null;

  constructor(total: number) {
    this.#free = total;
    this.#total = total;
  }

  /** Resolves when `amount` is free; more than the total counts as the total. */
  take(amount: number): Promise<void> | undefined {
    const wanted = Math.min(amount, this.#total);
    if (!this.#waiting && this.#free >= wanted) {
      this.#free -= wanted;
      return undefined;
    }
    return new Promise((resolve) => {
      this.#waiting = { amount: wanted, resolve };
    });
  }

  give(amount: number): void {
    this.#free += Math.min(amount, this.#total);
    const waiting = this.#waiting;
    if (!waiting || this.#free < waiting.amount) return;
    this.#free -= waiting.amount;
    this.#waiting = null;
    waiting.resolve();
  }
}
