import { ruleSetSchema } from "@xvault/contracts";
import { expect, it } from "vitest";
import { changedRules, formOfRules, rulesOfForm } from "./rule-form.ts";

const workspace = { hot_days: 7, warm_days: 30, cold_days: 365, offsite_days: 2555 };

it("a form that nobody touched changes nothing", () => {
  const rules = ruleSetSchema.parse(workspace);
  expect(changedRules(rulesOfForm(formOfRules(rules)), workspace)).toEqual({});
});

it("keeps what is otherwise, an empty age as 'for ever', and what inputs give as text as numbers", () => {
  const form = formOfRules(ruleSetSchema.parse(workspace));
  form.ages.offsite = "";
  form.ages.hot = "3";
  form.keep.daily = "14";
  expect(changedRules(rulesOfForm(form), workspace)).toEqual({
    hot_days: 3,
    offsite_days: null,
    keep: { last: 0, hourly: 0, daily: 14, weekly: 0, monthly: 0, yearly: 0, within_days: null },
  });
});
