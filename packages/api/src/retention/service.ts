import {
  type LifecyclePlan,
  type PackageType,
  packageTypeSchema,
  RETENTION_PRESETS,
  type RetentionConfig,
  type RetentionSettings,
  type RuleSet,
  type TypeRules,
} from "@xvault/contracts";
import type { TenantTx } from "@xvault/db";
import type { TenantId } from "@xvault/kernel";
import { auditCall } from "../audit.ts";
import type { Caller } from "../context.ts";
import type { ServiceDeps } from "../deps.ts";
import { resolveAlert } from "../notices/alerts.ts";
import type { RetentionService } from "../services.ts";
import { findSource } from "../sources/find.ts";
import { acknowledge, listSuspicions } from "./acknowledge.ts";
import { DAY } from "./ages.ts";
import { lookAhead } from "./ahead.ts";
import { readBuckets } from "./buckets.ts";
import { loadSeries } from "./load.ts";
import { achieved } from "./objectives.ts";
import { overlaid, ruleSet } from "./rules.ts";
import { daysOf, readOverrides, readRules, readSettings, writeOverrides, writeSettings } from "./settings.ts";
import { simulate } from "./simulate.ts";
import { endRest, readRest } from "./state.ts";
import { readStatus } from "./status.ts";

/** How many actions a dry run shows. */
const SHOWN = 500;

/** Rules of retention, what they bring, and what they do. */
export function createRetentionService(deps: ServiceDeps, options: { version: string | null }): RetentionService {
  const { db, clock } = deps;
  const within = <T>(caller: Caller, fn: (tx: TenantTx, tenantId: TenantId) => Promise<T>) =>
    db.withTenant(caller.actor.workspace.id, (tx) => fn(tx, caller.actor.workspace.id));

  async function rulesOf(tx: TenantTx, tenantId: TenantId, type: PackageType): Promise<TypeRules> {
    const settings = await readSettings(tx, tenantId);
    const overrides = (await readOverrides(tx, tenantId)).get(type) ?? {};
    return { package_type: type, rules: ruleSet(settings.preset, { ...settings.backup, ...overrides }), overrides };
  }

  async function rests(tx: TenantTx, tenantId: TenantId): Promise<LifecyclePlan["rests"]> {
    const rest = await readRest(tx, tenantId);
    return rest && { since: rest.since.toISOString(), until: rest.until.toISOString(), reason: rest.reason };
  }

  return {
    config: (caller) => within(caller, (tx, tenantId) => readConfig(tx, tenantId, clock.now())),

    updateConfig: (caller, input) =>
      within(caller, async (tx, tenantId) => {
        const before = await readSettings(tx, tenantId);
        // A preset fills in every figure; those that were set beside another one go.
        const base: RetentionSettings =
          input.preset === undefined ? before : { preset: input.preset, backup: {}, objectives: before.objectives };
        const { backup, ...days } = input.retention ?? {};
        const next: RetentionSettings = {
          ...base,
          ...days,
          backup: { ...base.backup, ...backup },
          objectives: overlaid(base.objectives, input.objectives ?? {}),
        };
        // What types set for themselves must still fit.
        const overrides = await readOverrides(tx, tenantId);
        for (const type of packageTypeSchema.options) ruleSet(next.preset, { ...next.backup, ...overrides.get(type) });
        await writeSettings(tx, tenantId, next, clock.now());
        const about = { preset: next.preset, ...flat(daysOf(next)) };
        await auditCall(tx, caller, "retention.config_changed", { kind: "workspace", id: tenantId }, about);
        return readConfig(tx, tenantId, clock.now());
      }),

    rules: (caller, type) => within(caller, (tx, tenantId) => rulesOf(tx, tenantId, type)),

    setRules: (caller, input) =>
      within(caller, async (tx, tenantId) => {
        const settings = await readSettings(tx, tenantId);
        const rules = ruleSet(settings.preset, { ...settings.backup, ...input.rules });
        await writeOverrides(tx, tenantId, input.package_type, input.rules, clock.now());
        const { keep, replicas: _, ...figures } = rules;
        const about = { package_type: input.package_type, ...figures, keep: JSON.stringify(keep) };
        await auditCall(tx, caller, "retention.rules_changed", { kind: "workspace", id: tenantId }, about);
        return rulesOf(tx, tenantId, input.package_type);
      }),

    simulate: (caller, input) =>
      within(caller, async (tx, tenantId) => {
        const now = clock.now();
        const settings = await readSettings(tx, tenantId);
        const own = (await readOverrides(tx, tenantId)).get(input.package_type) ?? {};
        const ground = input.preset === undefined ? { ...settings.backup, ...own } : {};
        const rules = ruleSet(input.preset ?? settings.preset, { ...ground, ...input.rules });
        const source = input.source_id === undefined ? null : await findSource(tx, caller, input.source_id);
        const [series] = source ? await loadSeries(tx, tenantId, [source.id]) : [];
        const { runs, days } = simulate(rules, {
          everyHours: input.every_hours,
          days: input.days,
          existing: series?.planned.snapshots.map(({ createdAt }) => createdAt) ?? [],
          timezone: series?.planned.timezone ?? "UTC",
          now,
        });
        const end = now.getTime() + input.days * DAY;
        const kept = runs.filter(({ endedAfter }) => endedAfter === null);
        return {
          rules,
          made: runs.length,
          ended: runs.length - kept.length,
          days,
          kept: kept.map(({ createdAt, tier, pickedBy }) => ({
            created_at: createdAt.toISOString(),
            age_days: (end - createdAt.getTime()) / DAY,
            tier,
            picked_by: pickedBy,
          })),
        };
      }),

    plan: (caller) =>
      within(caller, async (tx, tenantId) => {
        const ahead = await lookAhead(tx, tenantId, { now: clock.now(), until: null, limit: SHOWN });
        return { ...ahead, rests: await rests(tx, tenantId) };
      }),

    projections: (caller, input) =>
      within(caller, async (tx, tenantId) => {
        const now = clock.now();
        const ms = input.seconds === undefined ? (input.days ?? 7) * DAY : input.seconds * 1000;
        const until = new Date(now.getTime() + ms);
        const ahead = await lookAhead(tx, tenantId, { now, until, limit: input.limit });
        return { ...ahead, rests: await rests(tx, tenantId), now: now.toISOString(), until: until.toISOString() };
      }),

    suspicions: (caller) => within(caller, listSuspicions),

    acknowledge: (caller, input) =>
      within(caller, async (tx) => {
        await acknowledge(tx, deps, caller, await findSource(tx, caller, input.source_id), input.note);
      }),

    resume: (caller) =>
      within(caller, async (tx, tenantId) => {
        await endRest(tx, tenantId, clock.now());
        const about = { tenantId, kind: "clock_jumped", subject: { kind: "workspace", id: tenantId } };
        await resolveAlert(tx, deps, about, `${caller.actor.email} says that the clocks are right.`);
        await auditCall(tx, caller, "retention.resumed", { kind: "workspace", id: tenantId });
      }),

    buckets: (caller, days) =>
      within(caller, async (tx, tenantId) => {
        const rules = await readRules(tx, tenantId);
        return readBuckets(tx, tenantId, rules, { days, now: clock.now() });
      }),

    async status(caller) {
      const queue = await deps.queue.ping().then(
        () => true,
        () => false,
      );
      return within(caller, (tx, tenantId) =>
        readStatus(tx, tenantId, { now: clock.now(), queue, version: options.version }),
      );
    },
  };
}

async function readConfig(tx: TenantTx, tenantId: TenantId, now: Date): Promise<RetentionConfig> {
  const settings = await readSettings(tx, tenantId);
  const rules = await readRules(tx, tenantId);
  return {
    preset: settings.preset,
    retention: daysOf(settings),
    rule_sets: Object.fromEntries(rules) as Record<PackageType, RuleSet>,
    presets: RETENTION_PRESETS,
    objectives: await achieved(tx, tenantId, settings.objectives, now),
  };
}

/** Figures as an audit entry has them. */
function flat(days: ReturnType<typeof daysOf>): Record<string, number | null> {
  return { audit_days: days.audit_days, operational_days: days.operational_days, ...days.backup };
}
