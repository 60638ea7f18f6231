import { ruleSetSchema } from "@xvault/contracts";
import { expect, it } from "vitest";
import { bandsOf, pictureInWords, placeOf } from "./picture.ts";

const rules = (ages: (number | null)[]) => {
  const [hot_days, warm_days, cold_days, offsite_days] = ages;
  return ruleSetSchema.parse({ hot_days, warm_days, cold_days, offsite_days });
};

it("bands follow each other up to the end or the horizon", () => {
  expect(bandsOf(rules([7, 30, 365, 2555]), 100)).toEqual([
    { tier: "hot", from: 0, to: 7 },
    { tier: "warm", from: 7, to: 30 },
    { tier: "cold", from: 30, to: 100 },
  ]);
  expect(bandsOf(rules([7, null, null, null]), 100).at(-1)).toEqual({ tier: "warm", from: 7, to: 100 });
});

it("the line begins at its left and ends at the horizon", () => {
  expect(placeOf(0, 365, 600)).toBe(0);
  expect(placeOf(365, 365, 600)).toBeCloseTo(600);
  expect(placeOf(7, 365, 600)).toBeGreaterThan(placeOf(7, 3650, 600));
});

it("is said in words, too", () => {
  const kept = [{ tier: "hot" as const }, { tier: "cold" as const }];
  expect(pictureInWords({ made: 9, kept }, 30)).toBe("After 30 days 2 of 9 backups are there: 1 hot, 1 cold.");
});
