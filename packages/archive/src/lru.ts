/** Keeps the results of the last `capacity` keys used; concurrent callers of one key share one load. Failures are not kept. */
export class LoadCache<Value, Key = number> {
  readonly #entries = new Map<Key, Promise<Value>>();
  readonly #capacity: number;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** The value held for `key`, which becomes the youngest. */
  peek(key: Key): Promise<Value> | undefined {
    const held = this.#entries.get(key);
    if (held) {
      this.#entries.delete(key);
      this.#entries.set(key, held);
    }
    return held;
  }

  /** Holds `value` for `key`; the oldest goes when there are too many. */
  put(key: Key, value: Promise<Value>): Promise<Value> {
    this.#entries.set(key, value);
    value.catch(() => {
      if (this.#entries.get(key) === value) this.#entries.delete(key);
    });
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= this.#capacity) break;
      this.#entries.delete(oldest);
    }
    return value;
  }

  /** Holds nothing any more. */
  clear(): void {
    this.#entries.clear();
  }
}
