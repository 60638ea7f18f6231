import type { RuleSet, Tier } from "@xvault/contracts";
import { DAY, stepAt, tierAt } from "./ages.ts";
import { pickKept, thins, untouchable } from "./keep.ts";
import { type Period, periodsOf } from "./periods.ts";

export interface SimulatedRun {
  createdAt: Date;
  /** Days of the simulation until it ended; null for what is still there on its last day. */
  endedAfter: number | null;
  /** On the last day: where it lies, and the rules that picked it. */
  tier: Tier;
  pickedBy: string[];
}

export interface Simulation {
  runs: SimulatedRun[];
  /** How many there are in each tier, at some days of the simulation up to its last. */
  days: { day: number; hot: number; warm: number; cold: number; offsite: number }[];
}

/** More runs than these are not gone through one by one. */
const MAX_RUNS = 4000;
const POINTS = 60;

/**
 * What rules make of a source that is backed up every `everyHours` from now on for so many days: each run good, none pinned, nothing referring to
 * anything, a storage in every tier. `existing`: the times of snapshots that are there already.
 */
export function simulate(
  rules: RuleSet,
  input: { everyHours: number; days: number; existing: readonly Date[]; timezone: string; now: Date },
): Simulation {
  const { now, days, timezone } = input;
  const every = input.everyHours * 3_600_000;
  const end = now.getTime() + days * DAY;
  const names = new Map<number, Record<Period, string>>();
  const nameOf = (at: Date) => {
    const known = names.get(at.getTime()) ?? periodsOf(at, timezone);
    names.set(at.getTime(), known);
    return known;
  };
  const coming = Math.min(MAX_RUNS, Math.floor((days * DAY) / every) + 1);
  const times = [
    ...input.existing.map((at) => at.getTime()).toSorted((a, b) => a - b),
    ...Array.from({ length: coming }, (_, index) => now.getTime() + index * every),
  ];
  const all = times.map((time, index) => {
    const facts = { good: true, pinned: false, heldUntil: null };
    return {
      id: String(index),
      sequence: index + 1,
      createdAt: new Date(time),
      ...facts,
      endedAfter: null as number | null,
    };
  });
  let there: typeof all = [];
  let next = 0;
  let picked = new Map<string, string[]>();
  const points: Simulation["days"] = [];
  const step = Math.max(1, Math.ceil(days / POINTS));
  for (let day = 0; day <= days; day += 1) {
    const today = new Date(Math.min(end, now.getTime() + day * DAY));
    for (let one = all[next]; one && one.createdAt <= today; one = all[next]) {
      there.push(one);
      next += 1;
    }
    picked = pickKept(there, rules.keep, timezone, today, nameOf);
    const kept = untouchable(there, rules.min_keep, today);
    const thinning = thins(rules.keep);
    there = there.filter((one) => {
      const old = stepAt(rules, today.getTime() - one.createdAt.getTime())?.to === null;
      const stays = kept.has(one.id) || (!old && (!thinning || picked.has(one.id)));
      if (!stays) one.endedAfter = day;
      return stays;
    });
    if (day % step === 0 || day === days) {
      const counts = { hot: 0, warm: 0, cold: 0, offsite: 0 };
      for (const one of there) counts[tierAt(rules, today.getTime() - one.createdAt.getTime())] += 1;
      points.push({ day, ...counts });
    }
  }
  const runs = all.slice(0, next).map(({ id, createdAt, endedAfter }) => ({
    createdAt,
    endedAfter,
    tier: tierAt(rules, end - createdAt.getTime()),
    pickedBy: endedAfter === null ? (picked.get(id) ?? []) : [],
  }));
  return { runs, days: points };
}
