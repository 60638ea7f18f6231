import {
  type KeepRules,
  type RuleOverrides,
  type RuleSet,
  ruleSetSchema,
  type Tier,
  type TierAges,
} from "@xvault/contracts";
import { TIER_ORDER } from "../../lib/tiers.ts";

export const KEEP_FIELDS = [
  ["last", "Newest"],
  ["hourly", "Hours"],
  ["daily", "Days"],
  ["weekly", "Weeks"],
  ["monthly", "Months"],
  ["yearly", "Years"],
  ["within_days", "All within days"],
] as const satisfies readonly (readonly [keyof KeepRules, string])[];

/** As inputs give it: a number, or text that may be empty. */
type Field = number | string;

export interface RuleForm {
  ages: Record<Tier, Field>;
  replicas: Record<Tier, Field>;
  keep: Record<keyof KeepRules, Field>;
  min_keep: Field;
  by_access: boolean;
}

export function formOfRules(rules: RuleSet): RuleForm {
  const perTier = (value: (tier: Tier) => Field) =>
    Object.fromEntries(TIER_ORDER.map((tier) => [tier, value(tier)])) as Record<Tier, Field>;
  return {
    ages: perTier((tier) => rules[`${tier}_days`] ?? ""),
    replicas: perTier((tier) => rules.replicas[tier]),
    keep: {
      ...rules.keep,
      ...Object.fromEntries(
        Object.entries(rules.keep)
          .filter(([, value]) => value === 0 || value === null)
          .map(([key]) => [key, ""]),
      ),
    } as RuleForm["keep"],
    min_keep: rules.min_keep,
    by_access: rules.by_access,
  };
}

const numberOf = (field: Field): number | null => (field === "" ? null : Number(field));

/** The rules that a form stands for. An empty age is 'for ever', an empty pick none. */
export function rulesOfForm(form: RuleForm): RuleOverrides {
  const keep = Object.fromEntries(
    KEEP_FIELDS.map(([key]) => [key, numberOf(form.keep[key]) ?? (key === "within_days" ? null : 0)]),
  ) as KeepRules;
  const replicas = Object.fromEntries(TIER_ORDER.map((tier) => [tier, numberOf(form.replicas[tier]) ?? 1])) as Record<
    Tier,
    number
  >;
  return {
    hot_days: numberOf(form.ages.hot),
    warm_days: numberOf(form.ages.warm),
    cold_days: numberOf(form.ages.cold),
    offsite_days: numberOf(form.ages.offsite),
    replicas,
    keep,
    min_keep: numberOf(form.min_keep) ?? 1,
    by_access: form.by_access,
  };
}

/** Of some rules what is otherwise than the workspace's figures and the usual: the rest goes on following these. */
export function changedRules(rules: RuleOverrides, workspace: TierAges): RuleOverrides {
  const usual: RuleSet = ruleSetSchema.parse({ ...workspace });
  const changed = Object.entries(rules).filter(
    ([key, value]) => JSON.stringify(value) !== JSON.stringify(usual[key as keyof RuleSet]),
  );
  return Object.fromEntries(changed);
}
