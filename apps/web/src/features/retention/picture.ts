import type { RuleSet, Tier } from "@xvault/contracts";
import { TIER_ORDER, TIER_WORDS } from "../../lib/tiers.ts";

/** Where an age stands on a line of a given width: the first days get as much room as the years after them. */
export function placeOf(days: number, horizon: number, width: number): number {
  return (Math.log1p(Math.max(0, days)) / Math.log1p(Math.max(1, horizon))) * width;
}

/** The stretches of age in which a package lies in each tier, up to the horizon. */
export function bandsOf(rules: RuleSet, horizon: number): { tier: Tier; from: number; to: number }[] {
  const bands: { tier: Tier; from: number; to: number }[] = [];
  let from = 0;
  for (const tier of TIER_ORDER) {
    const end = rules[`${tier}_days`];
    const to = Math.min(end ?? horizon, horizon);
    if (to > from) bands.push({ tier, from, to });
    if (end === null) break;
    from = to;
  }
  return bands;
}

/** The picture in words: 'After 365 days 31 of 366 backups are there: 7 hot, 24 warm.' */
export function pictureInWords(simulation: { made: number; kept: { tier: Tier }[] }, days: number): string {
  const counts = TIER_ORDER.map((tier) => ({ tier, n: simulation.kept.filter((one) => one.tier === tier).length }));
  const there = counts.filter(({ n }) => n > 0).map(({ tier, n }) => `${n} ${TIER_WORDS[tier].word.toLowerCase()}`);
  const { made, kept } = simulation;
  return `After ${days.toLocaleString("en")} days ${kept.length} of ${made} backups are there: ${there.join(", ") || "none"}.`;
}
