import { type RuleSet, type Tier, TIERS } from "@xvault/contracts";
import { lifeSteps, rank } from "./ages.ts";
import { untouchable } from "./keep.ts";
import type { Action, PlannedSnapshot, PlannedSource, PlannedStorage, WaitsFor } from "./model.ts";
import { planSource, suspicion, unreached } from "./plan.ts";

/**
 * What will happen to a source's snapshots up to a moment, were none added, the next first: what is due already, then what ages bring. With steps
 * of the same life one after the other, so that a snapshot that goes through two tiers is named twice.
 */
export function projectSource(
  source: PlannedSource,
  rules: RuleSet,
  storages: readonly PlannedStorage[],
  now: Date,
  until: Date,
): Action[] {
  const due = planSource(source, rules, storages, now);
  const ending = new Set(due.filter(({ kind }) => kind === "expire").map(({ snapshotId }) => snapshotId));
  const kept = untouchable(source.snapshots, rules.min_keep, until);
  const later = source.snapshots
    .filter((one) => !ending.has(one.id))
    .flatMap((one) => stepsOf(source, one, rules, storages, now, until))
    .filter((action) => action.kind !== "expire" || !kept.has(action.snapshotId));
  return [...due, ...later].toSorted((a, b) => a.due.getTime() - b.due.getTime());
}

function stepsOf(
  source: PlannedSource,
  one: PlannedSnapshot,
  rules: RuleSet,
  storages: readonly PlannedStorage[],
  now: Date,
  until: Date,
): Action[] {
  const needing = source.snapshots.filter((other) => other.needs.includes(one.id));
  const youngest = [one, ...needing].toSorted((a, b) => b.sequence - a.sequence)[0] ?? one;
  const there = one.copies.filter((copy) => copy.whole).map((copy) => rank(copy.tier));
  let nearest = there.length > 0 ? Math.min(...there) : TIERS.length;
  /** When it goes on from which tier. */
  const left: { at: Date; from: number }[] = [];
  let stuck = false;
  const actions: Action[] = [];
  const add = (kind: "move" | "expire", due: Date, reason: string, toTier: Tier | null, waitsFor: WaitsFor | null) => {
    if (due <= now || due > until) return;
    const from = left.find(({ at }) => at > due)?.from ?? nearest;
    const fromTier = TIERS[Math.min(from, TIERS.length - 1)] ?? "offsite";
    const about = { sourceId: source.id, snapshotId: one.id, sizeBytes: one.sizeBytes, from: null, toStorageId: null };
    actions.push({ ...about, kind, due, reason, fromTier, toTier, waitsFor });
  };
  // A tier follows the youngest snapshot that needs this one; an end is due by the snapshot's own age.
  const since = rules.by_access ? laterOf(youngest.createdAt, one.usedAt) : youngest.createdAt;
  for (const step of lifeSteps(rules)) {
    if (step.to === null) {
      const last = needing.length > 0 ? { kind: "snapshot" as const, snapshotId: youngest.id } : null;
      const end = new Date(one.createdAt.getTime() + step.age);
      add("expire", end, "The end of its rules.", null, suspicion(source) ?? unreached(one) ?? last);
      continue;
    }
    const target = existing(step.to, storages);
    if (target !== null && rank(target) <= nearest) continue;
    const at = new Date(since.getTime() + step.age);
    const reason = `Old enough for the ${step.to} tier.`;
    if (target === null) {
      // It stays where it is from then on; said once.
      if (!stuck) add("move", at, reason, step.to, { kind: "storage", tier: step.to });
      stuck = true;
      continue;
    }
    add("move", at, reason, target, suspicion(source));
    left.push({ at, from: nearest });
    nearest = rank(target);
  }
  return actions;
}

/** The tier itself, or the next one that has a storage. */
function existing(tier: Tier, storages: readonly PlannedStorage[]): Tier | null {
  return TIERS.slice(rank(tier)).find((one) => storages.some((storage) => storage.tier === one)) ?? null;
}

function laterOf(a: Date, b: Date | null): Date {
  return b && b > a ? b : a;
}
