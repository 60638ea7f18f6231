/** Something that is open, or is being opened, and whoever uses it. */
export interface Held<T> {
  readonly opening: Promise<T>;
  users: number;
  dropped: boolean;
}

/**
 * What is open under keys, shared by all who ask for the same. What is dropped is closed once nobody uses it any more, and never while
 * somebody does: a download may take hours.
 */
export class Shelf<T extends { close(): void }> {
  readonly #held = new Map<string, Held<T>>();
  readonly #most: number;

  constructor(most: number) {
    this.#most = most;
  }

  get(key: string): Held<T> | undefined {
    return this.#held.get(key);
  }

  /** Takes it in; where there are too many, the one that came first is dropped. What cannot be opened is dropped by itself. */
  put(key: string, opening: Promise<T>): Held<T> {
    const [oldest] = this.#held.keys();
    if (this.#held.size >= this.#most && oldest !== undefined) this.drop(oldest);
    const held: Held<T> = { opening, users: 0, dropped: false };
    this.#held.set(key, held);
    opening.catch(() => this.drop(key, held));
    return held;
  }

  /** Does something with what is held; it stays open meanwhile. */
  async use<R>(held: Held<T>, work: (opened: T) => Promise<R>): Promise<R> {
    held.users += 1;
    try {
      return await work(await held.opening);
    } finally {
      held.users -= 1;
      this.#closeUnused(held);
    }
  }

  /** Nobody is given it any more. `only`: where it is still this one. */
  drop(key: string, only?: Held<T>): void {
    const held = this.#held.get(key);
    if (!held || (only && held !== only)) return;
    this.#held.delete(key);
    held.dropped = true;
    this.#closeUnused(held);
  }

  #closeUnused(held: Held<T>): void {
    if (!held.dropped || held.users > 0) return;
    held.opening.then(
      (opened) => opened.close(),
      () => {}, // it never opened
    );
  }
}
