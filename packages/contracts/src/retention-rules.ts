import { z } from "zod";
import { type Tier, tierSchema } from "./tiers.ts";

/** The tiers, in the order in which packages go through them. */
export const TIERS = tierSchema.options;

/** Days since something was made; fractions count. Null: for ever. */
export const daysSchema = z.number().min(0).max(36_500).nullable();

/**
 * Ages at which a package leaves each tier; the last one is its end. They rise. Null: it never leaves that tier, so that no later figure counts
 * and each of them is null, too.
 */
export const tierAgesSchema = z.object({
  hot_days: daysSchema,
  warm_days: daysSchema,
  cold_days: daysSchema,
  offsite_days: daysSchema,
});
export type TierAges = z.infer<typeof tierAgesSchema>;

const count = z.number().int().min(0).max(10_000);

/**
 * Which snapshots of a source are kept: the newest `last`, and the newest of each of so many hours, days, weeks, months and years that have one; all
 * of the last `within_days` days before the newest. Rules add up. Where none is set, age alone decides.
 */
export const keepRulesSchema = z.object({
  last: count.default(0),
  hourly: count.default(0),
  daily: count.default(0),
  weekly: count.default(0),
  monthly: count.default(0),
  yearly: count.default(0),
  within_days: daysSchema.default(null),
});
export type KeepRules = z.infer<typeof keepRulesSchema>;

const storagesOf = z.number().int().min(1).max(8).default(1);
export const replicasSchema = z.object({
  hot: storagesOf,
  warm: storagesOf,
  cold: storagesOf,
  offsite: storagesOf,
});

/** How long packages of one type are kept, and where. */
export const ruleSetSchema = tierAgesSchema.extend({
  /** On how many storages of its tier a package lies, as far as there are so many. */
  replicas: replicasSchema.prefault({}),
  keep: keepRulesSchema.prefault({}),
  /** The newest good snapshots of a source that nothing removes, counted and not dated. */
  min_keep: z.number().int().min(1).max(1000).default(3),
  /** Whether a package that was restored from counts as new for its tier. Its end stays. */
  by_access: z.boolean().default(false),
});
export type RuleSet = z.infer<typeof ruleSetSchema>;

/** What a rule set says otherwise than its workspace's preset does. */
export const ruleOverridesSchema = z.object({
  hot_days: daysSchema.optional(),
  warm_days: daysSchema.optional(),
  cold_days: daysSchema.optional(),
  offsite_days: daysSchema.optional(),
  replicas: z.object({ hot: storagesOf, warm: storagesOf, cold: storagesOf, offsite: storagesOf }).optional(),
  keep: keepRulesSchema.optional(),
  min_keep: z.number().int().min(1).max(1000).optional(),
  by_access: z.boolean().optional(),
});
export type RuleOverrides = z.infer<typeof ruleOverridesSchema>;

export const presetNameSchema = z.enum(["cloud-object", "on-prem", "cost-optimized"]);
export type PresetName = z.infer<typeof presetNameSchema>;

/** The seed's profiles (000, §8.1). Days. */
export const RETENTION_PRESETS: Record<PresetName, { audit_days: number; operational_days: number; backup: TierAges }> =
  {
    "cloud-object": {
      audit_days: 365,
      operational_days: 90,
      backup: { hot_days: 7, warm_days: 30, cold_days: 365, offsite_days: 2555 },
    },
    "on-prem": {
      audit_days: 730,
      operational_days: 180,
      backup: { hot_days: 14, warm_days: 90, cold_days: 365, offsite_days: 3650 },
    },
    "cost-optimized": {
      audit_days: 365,
      operational_days: 30,
      backup: { hot_days: 3, warm_days: 14, cold_days: 180, offsite_days: 1095 },
    },
  };

/** The age, in days, at which each tier is left, in the tiers' order. */
export function tierEnds(ages: TierAges): [Tier, number | null][] {
  return TIERS.map((tier) => [tier, ages[`${tier}_days`]]);
}
