import type { PackageType, RuleSet } from "@xvault/contracts";
import { and, copies, type CopyRow, eq, type JobRow, packages, snapshots, type TenantTx } from "@xvault/db";
import type { TenantId } from "@xvault/kernel";
import { auditSystem } from "../audit.ts";
import type { ServiceDeps } from "../deps.ts";

import { raiseAlert, resolveAlert } from "../notices/alerts.ts";
import { findStorage } from "../storages/placement.ts";
import { queueExpire, queueTransfer, snapshotById } from "../storages/queue.ts";
import { lockSource } from "../workers/busy.ts";
import { rank } from "./ages.ts";
import { isInUse } from "./in-use.ts";
import { loadSeries, type Series } from "./load.ts";
import type { Action, PlannedStorage } from "./model.ts";
import { planSource } from "./plan.ts";
import { removeAgain } from "./remove-again.ts";

/** How long a source is left alone after a copy to another storage failed, and a copy after its removal did, in milliseconds. */
const PAUSE = 60 * 60_000;
const SYSTEM = { kind: "system", id: null, label: "xVault" } as const;

interface Ground {
  tenantId: TenantId;
  sourceId: string;
  rules: Map<PackageType, RuleSet>;
  storages: readonly PlannedStorage[];
  /** As many may be queued. */
  jobs: number;
}

/**
 * Queues what the rules want of one source and nothing stands in the way of. While a job works on the source, or is to, nothing is: what it does or
 * needs is not known yet. The source stays locked until the transaction ends, so that no run builds on what is about to go.
 */
export async function turnOfSource(tx: TenantTx, deps: Pick<ServiceDeps, "clock">, ground: Ground): Promise<JobRow[]> {
  const { tenantId, sourceId } = ground;
  await lockSource(tx, sourceId);
  const all = await loadSeries(tx, tenantId, [sourceId]);
  await tellSuspicions(tx, deps, tenantId, sourceId, all);
  await syncTiers(tx, tenantId, all);
  const now = deps.clock.now();
  const since = new Date(now.getTime() - PAUSE);
  if (await isInUse(tx, tenantId, sourceId, since)) return [];
  const queued = await removeAgain(tx, tenantId, sourceId, { now, notSince: since, limit: ground.jobs });
  for (const series of all) {
    const rules = ground.rules.get(series.packageType);
    if (!rules) continue;
    for (const action of planSource(series.planned, rules, ground.storages, now)) {
      if (queued.length >= ground.jobs) return queued;
      if (action.waitsFor === null) queued.push(...(await queue(tx, tenantId, action, now)));
    }
  }
  return queued;
}

async function queue(tx: TenantTx, tenantId: TenantId, action: Action, now: Date): Promise<JobRow[]> {
  const snapshot = await snapshotById(tx, tenantId, action.snapshotId);
  const by = { reason: action.reason, trigger: "schedule" as const, requestedBy: null, now };
  const target = { kind: "snapshot", id: snapshot.id };
  const about = { reason: action.reason, sequence: snapshot.sequence };
  if (action.kind === "expire") {
    const mine = and(eq(snapshots.tenantId, tenantId), eq(snapshots.id, snapshot.id), eq(snapshots.state, "complete"));
    const [gone] = await tx.update(snapshots).set({ state: "expired", expiresAt: now }).where(mine).returning();
    if (!gone) return [];
    const made = await queueExpire(tx, snapshot, by);
    await auditSystem(tx, tenantId, SYSTEM, "snapshot.expired", target, {
      ...about,
      job_ids: made.map(({ id }) => id),
    });
    return made;
  }
  if (action.toStorageId === null) return [];
  const { storage: to } = await findStorage(tx, tenantId, action.toStorageId);
  const moveFrom = action.from && (await copyById(tx, tenantId, action.from.id));
  const made = await queueTransfer(tx, snapshot, to, moveFrom ? { ...by, moveFrom } : by);
  const said = action.kind === "move" ? "snapshot.move_queued" : "snapshot.copy_queued";
  const tier = { from_tier: action.fromTier, to_tier: action.toTier, storage_id: to.id };
  await auditSystem(tx, tenantId, SYSTEM, said, target, { ...about, ...tier, job_id: made.id });
  return [made];
}

async function copyById(tx: TenantTx, tenantId: TenantId, id: string): Promise<CopyRow | undefined> {
  const [row] = await tx
    .select()
    .from(copies)
    .where(and(eq(copies.tenantId, tenantId), eq(copies.id, id)));
  return row;
}

/** A package is where its nearest whole copy is. */
async function syncTiers(tx: TenantTx, tenantId: TenantId, all: readonly Series[]): Promise<void> {
  for (const series of all) {
    for (const one of series.planned.snapshots) {
      const shown = series.packages.get(one.id);
      const [nearest] = one.copies.filter((copy) => copy.whole).toSorted((a, b) => rank(a.tier) - rank(b.tier));
      if (!shown || !nearest || shown.tier === nearest.tier) continue;
      await tx
        .update(packages)
        .set({ tier: nearest.tier })
        .where(and(eq(packages.tenantId, tenantId), eq(packages.id, shown.id)));
    }
  }
}

/** Raises or resolves the alert about what looks wrong. */
async function tellSuspicions(
  tx: TenantTx,
  deps: Pick<ServiceDeps, "clock">,
  tenantId: TenantId,
  sourceId: string,
  all: readonly Series[],
): Promise<void> {
  const about = { tenantId, kind: "retention_stopped", subject: { kind: "source", id: sourceId } };
  const found = all.flatMap((series) => series.suspicions);
  const [first] = found;
  if (!first) {
    await resolveAlert(tx, deps, about, "Nothing looks wrong any more, or somebody said that it is right.");
    return;
  }
  const more = found.length > 1 ? ` There are ${found.length - 1} more findings.` : "";
  await raiseAlert(tx, deps, {
    ...about,
    severity: "critical",
    message: `Nothing of this source is moved or expired: snapshot ${first.sequence} looks wrong. ${first.message}${more}`,
    fix: "Look at the snapshot. If the change is right, say so on the page Retention; if not, restore from one before it.",
    data: { snapshot_id: first.snapshotId, findings: found.length },
  });
}
