/** Chance that can be had again: the same seed gives the same numbers. */
export interface Chance {
  /** From 0 up to and without 1. */
  number(): number;
  /** A whole number from 0 up to and without `end`. */
  below(end: number): number;
  /** One of the choices, each as likely as its weight says. */
  weighed<T>(choices: readonly (readonly [weight: number, choice: T])[]): T;
}

/** Mulberry32. */
export function createChance(seed: number): Chance {
  let state = seed >>> 0;
  const number = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    number,
    below: (end) => Math.floor(number() * end),
    weighed(choices) {
      let left = number() * choices.reduce((sum, [weight]) => sum + weight, 0);
      for (const [weight, choice] of choices) if ((left -= weight) < 0) return choice;
      const last = choices.at(-1);
      if (!last) throw new Error("nothing to choose from");
      return last[1];
    },
  };
}
