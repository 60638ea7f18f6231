import type { RuleSet, Tier } from "@xvault/contracts";
import { rank, stepAt } from "./ages.ts";

/** A package that a client only says it has: no byte of it is here, so that nothing but its row moves. */
export interface ReportedPackage {
  id: string;
  createdAt: Date;
  tier: Tier;
}

export interface ReportedAction {
  id: string;
  from: Tier;
  /** Null: its time is over. */
  to: Tier | null;
  due: Date;
}

/** What age brings a reported package to; null while it is where it belongs. It never comes back to a warmer tier than it was announced for. */
export function planReported(one: ReportedPackage, rules: RuleSet, now: Date): ReportedAction | null {
  const step = stepAt(rules, now.getTime() - one.createdAt.getTime());
  if (!step || (step.to !== null && rank(step.to) <= rank(one.tier))) return null;
  return { id: one.id, from: one.tier, to: step.to, due: new Date(one.createdAt.getTime() + step.age) };
}
