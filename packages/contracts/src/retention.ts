import { z } from "zod";
import { externalIdSchema, idSchema, nameSchema, timeSchema } from "./common.ts";
import { packageTypeSchema, tierSchema } from "./tiers.ts";
import { daysSchema, presetNameSchema, ruleOverridesSchema, ruleSetSchema, tierAgesSchema } from "./retention-rules.ts";

const seconds = z.number().int().min(1).max(3_153_600_000).nullable();

/** How soon a restore from a tier is to be done, and how old what it brings back may be. Null: nothing was set. */
export const objectiveSchema = z.object({ rto_seconds: seconds, rpo_seconds: seconds });
const objectives = z.object({
  hot: objectiveSchema,
  warm: objectiveSchema,
  cold: objectiveSchema,
  offsite: objectiveSchema,
});
export type Objectives = z.infer<typeof objectives>;

/** The seed's (000, §7), and a day for what is hot. */
export const DEFAULT_OBJECTIVES: Objectives = {
  hot: { rto_seconds: 4 * 3600, rpo_seconds: 24 * 3600 },
  warm: { rto_seconds: 24 * 3600, rpo_seconds: null },
  cold: { rto_seconds: 7 * 86_400, rpo_seconds: null },
  offsite: { rto_seconds: null, rpo_seconds: null },
};

/** What a workspace set for its retention. What is left out follows the preset. */
export const retentionSettingsSchema = z.object({
  preset: presetNameSchema.default("cloud-object"),
  audit_days: daysSchema.optional(),
  operational_days: daysSchema.optional(),
  backup: tierAgesSchema.partial().default({}),
  objectives: objectives.default(DEFAULT_OBJECTIVES),
});
export type RetentionSettings = z.infer<typeof retentionSettingsSchema>;

/** The rules of one package type, and what in them is set for it alone. */
export const typeRulesSchema = z.object({
  package_type: packageTypeSchema,
  rules: ruleSetSchema,
  overrides: ruleOverridesSchema,
});
export type TypeRules = z.infer<typeof typeRulesSchema>;

/** What was reached with a tier: the longest restore from it in the last 90 days, and the age of what is newest in it. Null: nothing was measured. */
const achievedSchema = objectiveSchema.extend({
  achieved_rto_seconds: z.number().nullable(),
  achieved_rpo_seconds: z.number().nullable(),
});
export type Achieved = z.infer<typeof achievedSchema>;

/** How long what is kept, in the seed's shape (000, §8.2). */
const daysOfAll = z.object({ audit_days: daysSchema, operational_days: daysSchema, backup: tierAgesSchema });

/** The seeds' `GET /config`. */
export const configSchema = z.object({
  preset: presetNameSchema,
  retention: daysOfAll,
  rule_sets: z.object({
    user_data: ruleSetSchema,
    app_logs: ruleSetSchema,
    audit_logs: ruleSetSchema,
    business_data: ruleSetSchema,
    job_package: ruleSetSchema,
    cache: ruleSetSchema,
  }),
  presets: z.object({ "cloud-object": daysOfAll, "on-prem": daysOfAll, "cost-optimized": daysOfAll }),
  objectives: z.object({ hot: achievedSchema, warm: achievedSchema, cold: achievedSchema, offsite: achievedSchema }),
});
export type RetentionConfig = z.infer<typeof configSchema>;

/** A preset fills in all figures; what stands beside it is set otherwise. */
export const updateConfigInput = z.object({
  preset: presetNameSchema.optional(),
  retention: z
    .object({
      audit_days: daysSchema.optional(),
      operational_days: daysSchema.optional(),
      backup: tierAgesSchema.partial().optional(),
    })
    .optional(),
  objectives: objectives.partial().optional(),
});

export const typeInput = z.object({ package_type: packageTypeSchema });
/** What is left out follows the workspace's figures again. */
export const setRulesInput = typeInput.extend({ rules: ruleOverridesSchema });

/** Rules to try: those of a type, changed by what is given. */
export const simulateInput = z.object({
  package_type: packageTypeSchema.default("user_data"),
  preset: presetNameSchema.optional(),
  rules: ruleOverridesSchema.optional(),
  every_hours: z
    .number()
    .min(0.1)
    .max(24 * 366)
    .default(24),
  days: z.number().int().min(1).max(3650).default(365),
  /** A source whose snapshots are there at the beginning; its time zone counts, too. */
  source_id: externalIdSchema.optional(),
});
export const simulationSchema = z.object({
  rules: ruleSetSchema,
  /** What is there on the last day, the oldest first. Ages in days, on that day. */
  kept: z.array(
    z.object({ created_at: timeSchema, age_days: z.number(), tier: tierSchema, picked_by: z.array(z.string()) }),
  ),
  made: z.number().int(),
  ended: z.number().int(),
  days: z.array(
    z.object({
      day: z.number().int(),
      hot: z.number().int(),
      warm: z.number().int(),
      cold: z.number().int(),
      offsite: z.number().int(),
    }),
  ),
});
export type SimulationResult = z.infer<typeof simulationSchema>;

/** What an action waits for; `message` says it to people. */
export const waitsForSchema = z.object({
  kind: z.enum(["snapshot", "acknowledgement", "lock", "storage", "copy"]),
  snapshot_id: idSchema.nullable(),
  until: timeSchema.nullable(),
  message: z.string(),
});

/** Something that the rules bring about, or would. */
export const lifecycleActionSchema = z.object({
  kind: z.enum(["move", "replicate", "expire"]),
  /** Null where the package is not stored. */
  snapshot_id: idSchema.nullable(),
  package_id: idSchema.nullable(),
  source_id: z.string(),
  source_name: z.string(),
  path: z.string().nullable(),
  from_tier: tierSchema,
  to_tier: tierSchema.nullable(),
  due_at: timeSchema,
  reason: z.string(),
  size_bytes: z.number(),
  /** Whether xVault has its bytes, or only a client's word. */
  evidence: z.enum(["stored", "reported"]),
  waits_for: waitsForSchema.nullable(),
});
export type LifecycleAction = z.infer<typeof lifecycleActionSchema>;

/** Something wrong with clocks: nothing ends or moves until they have run evenly for a day, or somebody says that they are right. */
const restSchema = z.object({ since: timeSchema, until: timeSchema, reason: z.string() });

export const planSchema = z.object({
  items: z.array(lifecycleActionSchema),
  /** More than is shown. */
  truncated: z.boolean(),
  rests: restSchema.nullable(),
});
export type LifecyclePlan = z.infer<typeof planSchema>;

/** So many days ahead, or seconds where somebody is to watch. */
export const projectionsInput = z.object({
  days: z.coerce.number().min(0).max(3650).optional(),
  seconds: z.coerce.number().min(0).max(315_360_000).optional(),
  limit: z.coerce.number().int().min(1).max(500).default(100),
});
export const projectionsSchema = planSchema.extend({ now: timeSchema, until: timeSchema });

/** A source where something looks wrong: nothing of it ends or moves until somebody says that it is right. */
export const suspicionSchema = z.object({
  source_id: z.string(),
  source_name: z.string(),
  findings: z.array(
    z.object({
      snapshot_id: idSchema,
      sequence: z.number().int(),
      kind: z.enum(["size", "files", "churn", "compressibility", "canary"]),
      message: z.string(),
    }),
  ),
});
export type SourceSuspicion = z.infer<typeof suspicionSchema>;
export const acknowledgeInput = z.object({ source_id: externalIdSchema, note: z.string().trim().max(500).default("") });

const flow = z.object({ count: z.number().int(), bytes: z.number() });
export const bucketSchema = z.object({
  tier: tierSchema,
  /** The seeds' word for it. */
  bucket: tierSchema,
  count: z.number().int(),
  bytes: z.number(),
  /** Of them those that only a client speaks of. */
  reported: z.number().int(),
  /** Names of the storages of this tier. */
  storages: z.array(z.string()),
  /** By age, in the days asked for. Pins and what waits are not looked at here; projections do. */
  incoming: flow,
  outgoing: flow,
});
export type Bucket = z.infer<typeof bucketSchema>;
export const bucketsInput = z.object({ days: z.coerce.number().min(0).max(3650).default(7) });
export const bucketsSchema = z.object({
  days: z.number(),
  clients: z.object({ count: z.number().int(), seen_today: z.number().int(), incoming: flow }),
  buckets: z.array(bucketSchema),
});
export type Buckets = z.infer<typeof bucketsSchema>;

/** A part of xVault as this workspace sees it. */
export const componentSchema = z.object({
  kind: z.enum(["hub", "database", "queue", "worker", "storage", "client"]),
  id: idSchema.nullable(),
  name: z.string(),
  state: z.enum(["ok", "warning", "down", "unknown"]),
  detail: z.string(),
  last_seen_at: timeSchema.nullable(),
});
export type Component = z.infer<typeof componentSchema>;
export const statusSchema = z.object({
  state: z.enum(["ok", "warning", "down"]),
  components: z.array(componentSchema),
  buckets: z.array(z.object({ tier: tierSchema, count: z.number().int(), bytes: z.number() })),
});
export type SystemStatus = z.infer<typeof statusSchema>;

export const pinInput = z.object({ id: idSchema, note: nameSchema.or(z.literal("")).default("") });
/** Null lifts the hold. */
export const holdInput = z.object({
  id: idSchema,
  until: timeSchema.nullable(),
  reason: z.string().trim().max(500).default(""),
});
