import {
  type PackageType,
  packageTypeSchema,
  RETENTION_PRESETS,
  type RetentionSettings,
  retentionSettingsSchema,
  type RuleOverrides,
  ruleOverridesSchema,
  type RuleSet,
  type TierAges,
} from "@xvault/contracts";
import { and, eq, retentionRules, sql, type TenantTx, workspaceSettings } from "@xvault/db";
import type { TenantId } from "@xvault/kernel";
import { overlaid, ruleSet } from "./rules.ts";

/** Under which key of the workspace's settings retention has its own. Others keep theirs beside it. */
const KEY = "retention";

/** What a workspace set; the defaults where it set nothing. */
export async function readSettings(tx: TenantTx, tenantId: TenantId): Promise<RetentionSettings> {
  const value = await settingsUnder(tx, tenantId, KEY);
  return retentionSettingsSchema.parse(value ?? {});
}

/** One feature's part of a workspace's settings; undefined where there is none. */
export async function settingsUnder(tx: TenantTx, tenantId: TenantId, key: string): Promise<unknown> {
  const [row] = await tx
    .select({ value: sql<unknown>`${workspaceSettings.settings} -> ${key}` })
    .from(workspaceSettings)
    .where(eq(workspaceSettings.tenantId, tenantId));
  return row?.value ?? undefined;
}

/** Writes one feature's part and leaves the others as they are, also where they are written at the same time. */
export async function writeUnder(
  tx: TenantTx,
  tenantId: TenantId,
  key: string,
  value: unknown,
  now: Date,
): Promise<void> {
  const part = JSON.stringify({ [key]: value });
  await tx
    .insert(workspaceSettings)
    .values({ tenantId, settings: JSON.parse(part), updatedAt: now })
    .onConflictDoUpdate({
      target: workspaceSettings.tenantId,
      set: { settings: sql`${workspaceSettings.settings} || ${part}::jsonb`, updatedAt: now },
    });
}

export function writeSettings(tx: TenantTx, tenantId: TenantId, settings: RetentionSettings, now: Date): Promise<void> {
  return writeUnder(tx, tenantId, KEY, settings, now);
}

/** The days of a workspace: its preset's, and what it set otherwise. */
export function daysOf(settings: RetentionSettings): {
  audit_days: number | null;
  operational_days: number | null;
  backup: TierAges;
} {
  const preset = RETENTION_PRESETS[settings.preset];
  const { audit_days = preset.audit_days, operational_days = preset.operational_days } = settings;
  return { audit_days, operational_days, backup: overlaid(preset.backup, settings.backup) };
}

/** What each package type has of its own. */
export async function readOverrides(tx: TenantTx, tenantId: TenantId): Promise<Map<PackageType, RuleOverrides>> {
  const rows = await tx.select().from(retentionRules).where(eq(retentionRules.tenantId, tenantId));
  return new Map(rows.map((row) => [row.packageType, ruleOverridesSchema.parse(row.rules)]));
}

/** The rules of every package type of a workspace. */
export async function readRules(tx: TenantTx, tenantId: TenantId): Promise<Map<PackageType, RuleSet>> {
  const settings = await readSettings(tx, tenantId);
  const overrides = await readOverrides(tx, tenantId);
  return new Map(
    packageTypeSchema.options.map((type) => [
      type,
      ruleSet(settings.preset, { ...settings.backup, ...overrides.get(type) }),
    ]),
  );
}

export async function writeOverrides(
  tx: TenantTx,
  tenantId: TenantId,
  packageType: PackageType,
  rules: RuleOverrides,
  now: Date,
): Promise<void> {
  if (Object.keys(rules).length === 0) {
    const mine = and(eq(retentionRules.tenantId, tenantId), eq(retentionRules.packageType, packageType));
    await tx.delete(retentionRules).where(mine);
    return;
  }
  await tx
    .insert(retentionRules)
    .values({ tenantId, packageType, rules, updatedAt: now })
    .onConflictDoUpdate({
      target: [retentionRules.tenantId, retentionRules.packageType],
      set: { rules, updatedAt: now },
    });
}
