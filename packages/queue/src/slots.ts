/** A fixed number of places for work, shared by several who wait for them. */
export interface Slots {
  /** True when no place is free. */
  readonly full: boolean;
  /** Takes a place if one is free. */
  tryTake(): boolean;
  /** Waits for a place, first come, first served. False when the slots were shut before. */
  take(): Promise<boolean>;
  /** Gives a place back. */
  free(): void;
  /** Sends everyone who waits away; nobody gets a place from now on. */
  shut(): void;
}

export function createSlots(count: number): Slots {
  const waiting: ((granted: boolean) => void)[] = [];
  let left = count;
  let shut = false;

  return {
    get full() {
      return left === 0;
    },
    tryTake() {
      if (shut || left === 0) return false;
      left -= 1;
      return true;
    },
    async take() {
      if (this.tryTake()) return true;
      if (shut) return false;
      return new Promise((resolve) => waiting.push(resolve));
    },
    free() {
      const next = waiting.shift();
      if (next) next(true);
      else left += 1;
    },
    shut() {
      shut = true;
      for (const send of waiting.splice(0)) send(false);
    },
  };
}
