import { type KeepRules, keepRulesSchema } from "@xvault/contracts";
import { expect, it } from "vitest";
import { pickKept, untouchable } from "./keep.ts";
import { periodsOf } from "./periods.ts";

/** Snapshots at some times, numbered in the order given. Those that end in '!' are partial. */
function series(...times: string[]) {
  return times.map((time, index) => ({
    id: time.replace(/(:00)?Z?!?$/, ""),
    sequence: index + 1,
    createdAt: new Date(time.replace("!", "")),
    good: !time.endsWith("!"),
  }));
}

function kept(rules: Partial<KeepRules>, snapshots: ReturnType<typeof series>, timezone = "UTC") {
  const now = new Date("2027-01-01T00:00:00Z");
  return [...pickKept(snapshots, keepRulesSchema.parse(rules), timezone, now).keys()].toSorted();
}

const week = series(
  "2026-06-01T08:00Z",
  "2026-06-01T20:00Z",
  "2026-06-02T08:00Z",
  "2026-06-02T20:00Z",
  "2026-06-08T08:00Z",
  "2026-07-08T08:00Z",
);

it("keeps the newest of each of so many periods that have one", () => {
  expect(kept({ last: 2 }, week)).toEqual(["2026-06-08T08", "2026-07-08T08"]);
  expect(kept({ hourly: 3 }, week)).toEqual(["2026-06-02T20", "2026-06-08T08", "2026-07-08T08"]);
  expect(kept({ daily: 4 }, week)).toEqual(["2026-06-01T20", "2026-06-02T20", "2026-06-08T08", "2026-07-08T08"]);
  expect(kept({ weekly: 3 }, week)).toEqual(["2026-06-02T20", "2026-06-08T08", "2026-07-08T08"]);
  expect(kept({ monthly: 5 }, week)).toEqual(["2026-06-08T08", "2026-07-08T08"]);
  expect(kept({ yearly: 5 }, week)).toEqual(["2026-07-08T08"]);
});

it("adds rules up, and says which picked what", () => {
  const rules = keepRulesSchema.parse({ last: 1, daily: 2, monthly: 2 });
  const picked = pickKept(week, rules, "UTC", new Date("2027-01-01T00:00:00Z"));
  expect(Object.fromEntries(picked)).toEqual({
    "2026-07-08T08": ["last", "daily", "monthly"],
    "2026-06-08T08": ["daily", "monthly"],
  });
});

it("counts back from the newest snapshot and not from now", () => {
  expect(kept({ within_days: 31 }, week)).toEqual(["2026-06-08T08", "2026-07-08T08"]);
  expect(kept({ within_days: 0 }, week)).toEqual(["2026-07-08T08"]);
});

it("lets no snapshot from the future push the others out", () => {
  const ahead = series("2026-12-30T08:00Z", "2099-01-01T00:00Z");
  expect(kept({ within_days: 7 }, ahead)).toHaveLength(2);
});

it("lets the newest good one stand for its period, and a partial one only where there is none", () => {
  const partly = series("2026-06-01T08:00Z", "2026-06-01T20:00Z!", "2026-06-02T20:00Z!");
  expect(kept({ daily: 5 }, partly)).toEqual(["2026-06-01T08", "2026-06-02T20"]);
  expect(kept({ last: 1 }, partly)).toEqual(["2026-06-01T08", "2026-06-01T20", "2026-06-02T20"]);
});

it("begins days where the source is", () => {
  const night = series("2026-06-01T21:30Z", "2026-06-01T22:30Z");
  expect(kept({ daily: 5 }, night)).toHaveLength(1);
  // In Rome the second one is of the next day.
  expect(kept({ daily: 5 }, night, "Europe/Rome")).toHaveLength(2);
});

it("weeks begin on Monday and do not end with the year", () => {
  const weekOf = (time: string) => periodsOf(new Date(time), "UTC").weekly;
  expect(weekOf("2026-12-28T00:00:00Z")).toBe(weekOf("2027-01-03T23:59:59Z"));
  expect(weekOf("2027-01-03T23:59:59Z")).not.toBe(weekOf("2027-01-04T00:00:00Z"));
});

it("an hour that a clock shows twice is two hours", () => {
  const hourOf = (time: string) => periodsOf(new Date(time), "Europe/Rome").hourly;
  // 02:30 in summer time, and again an hour later.
  expect(hourOf("2026-10-25T00:30:00Z")).not.toBe(hourOf("2026-10-25T01:30:00Z"));
});

it("where fewer are good than are to stay, the newest of the others stay along with them", () => {
  const few = series("2026-06-01T08:00Z", "2026-06-02T08:00Z!", "2026-06-03T08:00Z!", "2026-06-04T08:00Z!");
  const stay = (minKeep: number) => {
    const all = few.map((one) => ({ ...one, pinned: false, heldUntil: null }));
    return [...untouchable(all, minKeep, new Date("2027-01-01T00:00:00Z")).keys()].toSorted();
  };
  expect(stay(1)).toEqual(["2026-06-01T08", "2026-06-04T08"]);
  expect(stay(3)).toEqual(["2026-06-01T08", "2026-06-03T08", "2026-06-04T08"]);
});
