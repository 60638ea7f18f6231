import { type RuleSet, ruleSetSchema } from "@xvault/contracts";
import fc from "fast-check";
import { expect, it } from "vitest";
import { DAY, rank } from "./ages.ts";
import type { Action, PlannedSnapshot, PlannedStorage } from "./model.ts";
import { planSource } from "./plan.ts";
import { NOW, sourceOf, STORAGES } from "./test/snapshots.ts";

const maybe = (arbitrary: fc.Arbitrary<number>) => fc.oneof(fc.constant(0), arbitrary);
const RULES: fc.Arbitrary<RuleSet> = fc
  .record({
    ages: fc.uniqueArray(fc.integer({ min: 1, max: 400 }), { minLength: 4, maxLength: 4 }),
    stays: fc.integer({ min: 0, max: 8 }),
    keep: fc.record({
      last: maybe(fc.integer({ min: 1, max: 5 })),
      hourly: fc.constant(0),
      daily: maybe(fc.integer({ min: 1, max: 9 })),
      weekly: maybe(fc.integer({ min: 1, max: 5 })),
      monthly: maybe(fc.integer({ min: 1, max: 5 })),
      yearly: maybe(fc.integer({ min: 1, max: 2 })),
      within_days: fc.option(fc.integer({ min: 0, max: 40 })),
    }),
    replicas: fc.integer({ min: 1, max: 2 }),
    min_keep: fc.integer({ min: 1, max: 4 }),
  })
  .map(({ ages, stays, keep, replicas, min_keep }) => {
    const rising = ages.toSorted((a, b) => a - b).map((days, index) => (index >= stays ? null : days));
    const [hot_days, warm_days, cold_days, offsite_days] = rising;
    const copies = { hot: replicas, warm: replicas, cold: replicas, offsite: replicas };
    return ruleSetSchema.parse({ hot_days, warm_days, cold_days, offsite_days, keep, min_keep, replicas: copies });
  });

/** What a turn of the hub does with a plan, as far as rows go: all that waits for nothing. */
function apply(snapshots: readonly PlannedSnapshot[], plan: readonly Action[]): PlannedSnapshot[] {
  let left = [...snapshots];
  const put = (ids: readonly string[], storageId: string) => {
    const storage = STORES.find(({ id }) => id === storageId);
    if (!storage) throw new Error("a storage that does not exist");
    left = left.map((one) => {
      if (!ids.includes(one.id) || one.copies.some((copy) => copy.storageId === storageId)) return one;
      const made = {
        id: `${one.id} ${storageId}`,
        storageId,
        tier: storage.tier,
        whole: true,
        reached: true,
        lockedUntil: null,
      };
      return { ...one, copies: [...one.copies, made] };
    });
  };
  for (const action of plan) {
    if (action.waitsFor) continue;
    const one = left.find(({ id }) => id === action.snapshotId);
    if (!one) continue;
    if (action.kind === "expire") left = left.filter(({ id }) => id !== one.id);
    // A storage gets what the snapshot needs along with it.
    if (action.toStorageId !== null) put([one.id, ...one.needs], action.toStorageId);
    if (action.from) {
      const gone = action.from.id;
      left = left.map((each) => ({ ...each, copies: each.copies.filter((copy) => copy.id !== gone) }));
    }
  }
  return left;
}

const STORES: PlannedStorage[] = [...STORAGES, { id: "warm 2", tier: "warm" }, { id: "cold 2", tier: "cold" }];

/** Everything has a copy, and beside each copy lies all that it refers to. */
function checkWhole(snapshots: readonly PlannedSnapshot[]): void {
  const there = new Map(snapshots.map((one) => [one.id, new Set(one.copies.map(({ storageId }) => storageId))]));
  for (const one of snapshots) {
    if (one.copies.length === 0) throw new Error(`${one.id} has no copy`);
    for (const id of one.needs) {
      const beside = there.get(id);
      const bare = one.copies.find(({ storageId }) => !beside?.has(storageId));
      if (bare) throw new Error(`${one.id} lies on ${bare.storageId} without ${id}`);
    }
  }
}

const STEP = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("backup" as const),
      needs: fc.array(fc.nat(20), { maxLength: 3 }),
      good: fc.integer({ min: 0, max: 5 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("pin" as const), which: fc.nat(50) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("unpin" as const), which: fc.nat(50) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("wait" as const), days: fc.integer({ min: 1, max: 90 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("clock" as const), days: fc.constantFrom(-365, -1, 1, 365) }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant("turn" as const) }) },
);

it("in any order of backups, pins, time and turns nothing that is needed, pinned or among the newest good ones goes (promise 27)", () => {
  let ended = 0;
  let moved = 0;
  fc.assert(
    fc.property(RULES, fc.array(STEP, { minLength: 40, maxLength: 90 }), (rules, steps) => {
      let now = NOW.getTime();
      let sequence = 0;
      let there: PlannedSnapshot[] = [];
      for (const step of steps) {
        if (step.do === "wait" || step.do === "clock") now += step.days * DAY;
        if (step.do === "pin" || step.do === "unpin") {
          const pinned = step.do === "pin";
          const index = there.length === 0 ? -1 : step.which % there.length;
          there = there.map((one, each) => (each === index ? { ...one, pinned } : one));
        }
        if (step.do === "backup") {
          sequence += 1;
          const onHot = there.filter((one) => one.copies.some((copy) => copy.storageId === "hot"));
          const direct = step.needs.flatMap((nth) => onHot[nth % Math.max(1, onHot.length)] ?? []);
          const needs = [...new Set(direct.flatMap((one) => [one.id, ...one.needs]))];
          const hot = {
            id: `s${sequence} hot`,
            storageId: "hot",
            tier: "hot" as const,
            whole: true,
            reached: true,
            lockedUntil: null,
          };
          there.push({
            id: `s${sequence}`,
            sequence,
            createdAt: new Date(now),
            good: step.good > 0,
            pinned: false,
            heldUntil: null,
            usedAt: null,
            sizeBytes: 1,
            needs,
            copies: [hot],
          });
        }
        if (step.do === "turn") {
          const plan = planSource(sourceOf(...there), rules, STORES, new Date(now));
          const newestGood = there.filter((one) => one.good).toSorted((a, b) => b.sequence - a.sequence);
          const after = apply(there, plan);
          const left = new Set(after.map(({ id }) => id));
          expect(there.filter((one) => one.pinned && !left.has(one.id))).toEqual([]);
          expect(newestGood.slice(0, rules.min_keep).filter(({ id }) => !left.has(id))).toEqual([]);
          ended += there.length - after.length;
          moved += plan.filter(({ kind, waitsFor }) => kind === "move" && !waitsFor).length;
          there = after;
          checkWhole(there);
        }
      }
    }),
    { numRuns: 200 },
  );
  // The property is no comfort where nothing ever happens.
  expect(ended).toBeGreaterThan(30);
  expect(moved).toBeGreaterThan(100);
});

const SERIES = fc.array(
  fc.record({
    age: fc.integer({ min: 0, max: 900 }),
    good: fc.integer({ min: 0, max: 5 }),
    pinned: fc.integer({ min: 0, max: 9 }),
  }),
  {
    minLength: 1,
    maxLength: 40,
  },
);

function series(of: { age: number; good: number; pinned: number }[]): PlannedSnapshot[] {
  return of
    .toSorted((a, b) => b.age - a.age)
    .map(({ age, good, pinned }, index) => ({
      id: `s${index}`,
      sequence: index + 1,
      createdAt: new Date(NOW.getTime() - age * DAY),
      good: good > 0,
      pinned: pinned === 0,
      heldUntil: null,
      usedAt: null,
      sizeBytes: 1,
      needs: index > 0 && good === 1 ? [`s${index - 1}`] : [],
      copies: [{ id: `s${index} hot`, storageId: "hot", tier: "hot", whole: true, reached: true, lockedUntil: null }],
    }));
}

it("turns come to rest, and then there is nothing more to do", () => {
  fc.assert(
    fc.property(RULES, SERIES, (rules, of) => {
      let there = series(of);
      for (let turn = 0; turn < 500; turn += 1) {
        const plan = planSource(sourceOf(...there), rules, STORES, NOW);
        if (plan.every(({ waitsFor }) => waitsFor !== null)) return;
        there = apply(there, plan);
      }
      throw new Error("the plan never came to rest");
    }),
    { numRuns: 200 },
  );
});

it("what is to end is still to end later, and tiers only get farther", () => {
  fc.assert(
    fc.property(RULES, SERIES, fc.integer({ min: 1, max: 400 }), (rules, of, days) => {
      const source = sourceOf(...series(of));
      const plan = (at: number) => planSource(source, rules, STORES, new Date(at));
      const now = plan(NOW.getTime());
      const later = plan(NOW.getTime() + days * DAY);
      for (const action of now) {
        const same = later.filter(({ snapshotId }) => snapshotId === action.snapshotId);
        if (action.kind === "expire") expect(same.map(({ kind }) => kind)).toContain("expire");
        if (action.kind !== "move") continue;
        const tier = same.find(({ kind }) => kind !== "expire")?.toTier ?? "offsite";
        expect(rank(tier)).toBeGreaterThanOrEqual(rank(action.toTier ?? "hot"));
      }
    }),
    { numRuns: 200 },
  );
});
