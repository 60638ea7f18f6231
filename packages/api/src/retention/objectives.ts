import { type Achieved, type Objectives, type Tier, TIERS } from "@xvault/contracts";
import { and, copies, eq, gte, inArray, jobs, packages, snapshots, sql, storages, type TenantTx } from "@xvault/db";
import type { TenantId } from "@xvault/kernel";
import { DAY } from "./ages.ts";

const MEASURED_DAYS = 90;

/** Beside each tier's objectives what was reached. */
export async function achieved(
  tx: TenantTx,
  tenantId: TenantId,
  objectives: Objectives,
  now: Date,
): Promise<Record<Tier, Achieved>> {
  const longest = await longestRestores(tx, tenantId, now);
  const newest = await oldestNewest(tx, tenantId);
  const entries = TIERS.map((tier) => {
    const at = newest.get(tier);
    const reached = {
      achieved_rto_seconds: longest.get(tier) ?? null,
      achieved_rpo_seconds: at === undefined ? null : Math.max(0, (now.getTime() - at.getTime()) / 1000),
    };
    return [tier, { ...objectives[tier], ...reached }] as const;
  });
  return Object.fromEntries(entries) as Record<Tier, Achieved>;
}

/** Tier → the longest that a restore took, from its request to its end, in seconds. By the tier where the package is now. */
async function longestRestores(tx: TenantTx, tenantId: TenantId, now: Date): Promise<Map<Tier, number>> {
  const took = sql<number>`max(extract(epoch from (${jobs.finishedAt} - ${jobs.createdAt})))`.mapWith(Number);
  const rows = await tx
    .select({ tier: packages.tier, took })
    .from(jobs)
    .innerJoin(packages, and(eq(packages.tenantId, jobs.tenantId), eq(packages.snapshotId, jobs.snapshotId)))
    .where(
      and(
        eq(jobs.tenantId, tenantId),
        eq(jobs.type, "restore"),
        inArray(jobs.state, ["success", "warning"]),
        gte(jobs.createdAt, new Date(now.getTime() - MEASURED_DAYS * DAY)),
      ),
    )
    .groupBy(packages.tier);
  return new Map(rows.map(({ tier, took: seconds }) => [tier, seconds]));
}

/** Tier → of its sources the one whose newest snapshot there is the oldest: as much would be lost, had only this tier survived. */
async function oldestNewest(tx: TenantTx, tenantId: TenantId): Promise<Map<Tier, Date>> {
  const newest = tx
    .select({ tier: storages.tier, at: sql<string>`max(${snapshots.createdAt})`.as("at") })
    .from(copies)
    .innerJoin(storages, and(eq(storages.tenantId, copies.tenantId), eq(storages.id, copies.storageId)))
    .innerJoin(snapshots, and(eq(snapshots.tenantId, copies.tenantId), eq(snapshots.id, copies.snapshotId)))
    .where(and(eq(copies.tenantId, tenantId), eq(copies.state, "complete"), eq(snapshots.state, "complete")))
    .groupBy(storages.tier, snapshots.sourceId)
    .as("newest");
  const rows = await tx
    .select({ tier: newest.tier, at: sql<string>`min(${newest.at})` })
    .from(newest)
    .groupBy(newest.tier);
  return new Map(rows.map(({ tier, at }) => [tier, new Date(at)]));
}
