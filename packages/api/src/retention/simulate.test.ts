import { expect, it } from "vitest";
import { ruleSet } from "./rules.ts";
import { simulate } from "./simulate.ts";

const NOW = new Date("2026-06-15T12:00:00Z");
const input = { everyHours: 24, timezone: "UTC", now: NOW, existing: [] };

it("a source that is backed up daily fills the tiers by their ages, and no more", () => {
  const rules = ruleSet("cloud-object", { warm_days: 14, cold_days: 21, offsite_days: 28 });
  const { runs, days } = simulate(rules, { ...input, days: 60 });
  expect(days.at(-1)).toEqual({ day: 60, hot: 7, warm: 7, cold: 7, offsite: 7 });
  expect(runs.filter(({ endedAfter }) => endedAfter === null)).toHaveLength(28);
  expect(runs[0]).toMatchObject({ createdAt: NOW, endedAfter: 28 });
});

it("rules that pick keep a grandfather, his sons and theirs", () => {
  const keep = { last: 0, hourly: 0, daily: 7, weekly: 4, monthly: 6, yearly: 0, within_days: null };
  const { runs } = simulate(ruleSet("cloud-object", { keep }), { ...input, days: 365 });
  const left = runs.filter(({ endedAfter }) => endedAfter === null);
  // 7 days; of 4 weeks and 6 months the newest belong to them already.
  expect(left.length).toBeGreaterThanOrEqual(13);
  expect(left.length).toBeLessThanOrEqual(15);
  expect(left.at(-1)?.pickedBy).toEqual(["daily", "weekly", "monthly"]);
});

it("what is there already lives on beside what comes", () => {
  const existing = [100, 50].map((days) => new Date(NOW.getTime() - days * 86_400_000));
  const rules = ruleSet("cloud-object", { min_keep: 1, warm_days: 14, cold_days: 21, offsite_days: 60 });
  const { runs } = simulate(rules, { ...input, existing, days: 30 });
  expect(runs.slice(0, 2).map(({ endedAfter }) => endedAfter)).toEqual([0, 10]);
});
