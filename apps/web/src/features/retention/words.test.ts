import { expect, it } from "vitest";
import { actionInWords, ageInWords } from "./words.ts";

it.each([
  [null, "for ever"],
  [0, "at once"],
  [1, "1 day"],
  [7, "7 days"],
  [365, "1 year"],
  [2555, "7 years"],
  [400, "400 days"],
  [0.5, "12 hours"],
  [10 / 86_400, "10 seconds"],
])("%s days are %s", (days, words) => expect(ageInWords(days)).toBe(words));

it("says what is done in a few words", () => {
  expect(actionInWords({ kind: "move", from_tier: "hot", to_tier: "warm" })).toBe("Moves from hot to warm");
  expect(actionInWords({ kind: "expire", from_tier: "offsite", to_tier: null })).toBe("Ends, from offsite");
  expect(actionInWords({ kind: "replicate", from_tier: "cold", to_tier: "cold" })).toBe("Gets a copy in cold");
});
