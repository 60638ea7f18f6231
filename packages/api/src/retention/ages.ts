import { type RuleSet, type Tier, tierEnds, TIERS } from "@xvault/contracts";

export const DAY = 86_400_000;

/** A point of a package's life: at which age it leaves a tier, and for which one. `to` is null at its end. */
export interface LifeStep {
  /** Milliseconds since it was made. */
  age: number;
  from: Tier;
  to: Tier | null;
}

/** The whole life of a package under its rules, up to its end or to the tier where it stays. */
export function lifeSteps(rules: RuleSet): LifeStep[] {
  const steps: LifeStep[] = [];
  for (const [index, [tier, days]] of tierEnds(rules).entries()) {
    if (days === null) break;
    steps.push({ age: days * DAY, from: tier, to: TIERS[index + 1] ?? null });
  }
  return steps;
}

/** The last step that an age has reached; null for one that is still in its first tier. */
export function stepAt(rules: RuleSet, age: number): LifeStep | null {
  return lifeSteps(rules).findLast((step) => step.age <= age) ?? null;
}

/** The tier for an age. What is past its end belongs into the last tier for as long as something keeps it. */
export function tierAt(rules: RuleSet, age: number): Tier {
  const step = stepAt(rules, age);
  return step ? (step.to ?? step.from) : "hot";
}

/** How far from the clients a tier is: 0 for hot. */
export function rank(tier: Tier): number {
  return TIERS.indexOf(tier);
}
