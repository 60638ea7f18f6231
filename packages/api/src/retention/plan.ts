import { type RuleSet, type Tier, TIERS } from "@xvault/contracts";
import { DAY, rank, stepAt, tierAt } from "./ages.ts";
import { pickKept, thins, untouchable } from "./keep.ts";
import type { Action, PlannedCopy, PlannedSnapshot, PlannedSource, PlannedStorage, WaitsFor } from "./model.ts";

interface End {
  due: Date;
  reason: string;
}

/**
 * What the rules want done with a source's snapshots at a moment, the newest snapshot first: ends, moves to another tier, further copies. What is due
 * and must wait says for what; all else may be done at once, in any order. Pure: the same input has the same plan, and doing a part of it leaves the
 * rest as it was.
 *
 * What later snapshots refer to lives where and as long as they do: it goes to a tier with the youngest of them, and ends once none of them is there.
 */
export function planSource(
  source: PlannedSource,
  rules: RuleSet,
  storages: readonly PlannedStorage[],
  now: Date,
): Action[] {
  const newestFirst = source.snapshots.toSorted((a, b) => b.sequence - a.sequence);
  const needing = dependents(newestFirst);
  const ends = endsOf(source, rules, now);
  const actions: Action[] = [];
  for (const one of newestFirst) {
    const later = needing.get(one.id) ?? [];
    const end = ends.get(one.id);
    const common = { sourceId: source.id, snapshotId: one.id, sizeBytes: one.sizeBytes, fromTier: tierOf(one) };
    if (end) {
      actions.push({
        ...common,
        ...end,
        kind: "expire",
        toTier: null,
        from: null,
        toStorageId: null,
        waitsFor: suspicion(source) ?? unreached(one) ?? needed(later) ?? locked(one.copies, now),
      });
      // Not worth a move where all that needs it is to end, too.
      if (later.every((other) => ends.has(other.id))) continue;
    }
    const placing = placement(one, later, rules, storages, now);
    if (placing) {
      const stopped = placing.kind === "move" ? suspicion(source) : null;
      actions.push({ ...common, ...placing, waitsFor: stopped ?? placing.waitsFor });
    }
  }
  return actions;
}

/** Snapshot → those that need it, the youngest first. */
function dependents(newestFirst: readonly PlannedSnapshot[]): Map<string, PlannedSnapshot[]> {
  const found = new Map<string, PlannedSnapshot[]>();
  for (const one of newestFirst) {
    for (const id of one.needs) found.set(id, [...(found.get(id) ?? []), one]);
  }
  return found;
}

/** The snapshots that are to end, whatever still stands in the way. */
function endsOf(source: PlannedSource, rules: RuleSet, now: Date): Map<string, End> {
  const kept = untouchable(source.snapshots, rules.min_keep, now);
  const thinning = thins(rules.keep);
  const picked = pickKept(source.snapshots, rules.keep, source.timezone, now);
  const ends = new Map<string, End>();
  for (const one of source.snapshots) {
    if (kept.has(one.id)) continue;
    const step = stepAt(rules, now.getTime() - one.createdAt.getTime());
    if (step?.to === null) {
      const due = new Date(one.createdAt.getTime() + step.age);
      ends.set(one.id, { due, reason: `Older than ${days(step.age)}, the end of its rules.` });
    } else if (thinning && !picked.has(one.id)) {
      ends.set(one.id, { due: now, reason: "None of the rules that pick snapshots picks it." });
    }
  }
  return ends;
}

type Placing = Pick<Action, "kind" | "due" | "reason" | "toTier" | "from" | "toStorageId" | "waitsFor">;

/** The next step towards where the copies of a snapshot are to lie; null where they do. One at a time. */
function placement(
  one: PlannedSnapshot,
  later: readonly PlannedSnapshot[],
  rules: RuleSet,
  storages: readonly PlannedStorage[],
  now: Date,
): Placing | null {
  const whole = one.copies.filter((copy) => copy.whole);
  const { tier, due } = dueTier([one, ...later], rules, now);
  const exists = (one: Tier) =>
    storages.some((storage) => storage.tier === one) || whole.some((copy) => copy.tier === one);
  // A tier without a storage is skipped; where none is left beyond, it goes as far as it can.
  const target = TIERS.slice(rank(tier)).find(exists) ?? TIERS.slice(0, rank(tier)).findLast(exists);
  if (target === undefined) return null;
  const passed = whole.filter((copy) => rank(copy.tier) < rank(target));
  const there = whole.filter((copy) => rank(copy.tier) >= rank(target));
  const inTarget = there.filter((copy) => copy.tier === target);
  const free = storages.filter(
    (storage) => storage.tier === target && !one.copies.some((copy) => copy.storageId === storage.id),
  );
  const missing = Math.min(rules.replicas[target] - inTarget.length, free.length);
  const [from] = passed;
  if (from === undefined) {
    // Where it lies is cold enough. A copy more only where its tier is the due one: a colder one was somebody's choice.
    if (missing > 0 && (inTarget.length > 0 || there.length === 0))
      return copyTo(target, due, free[0], whole.length > 0);
    if (rank(target) >= rank(tier)) return null;
    return { ...moveTo(tier, due), from: null, toStorageId: null, waitsFor: { kind: "storage", tier } };
  }
  // The last of the copies that are to be there is the one that moves; those before it are made while the old one still stands.
  if (missing > 1) return copyTo(target, due, free[0], true);
  // The copy itself lies in the target tier already, or takes the one place that is missing.
  const to = missing === 1 ? free[0]?.id : inTarget[0]?.storageId;
  // The storage has a copy, but a damaged one.
  if (to === undefined) return { ...moveTo(target, due), from, toStorageId: null, waitsFor: { kind: "copy" } };
  const held = later.find((other) => other.copies.some((copy) => copy.storageId === from.storageId));
  const waitsFor: WaitsFor | null = held ? { kind: "snapshot", snapshotId: held.id } : locked([from], now);
  return { ...moveTo(target, due), from, toStorageId: to, waitsFor };
}

/** The tier for a snapshot and all that need it: that of the one which is to stay the nearest. With the time since when. */
function dueTier(all: readonly PlannedSnapshot[], rules: RuleSet, now: Date): { tier: Tier; due: Date } {
  let nearest: { tier: Tier; due: Date } | undefined;
  for (const one of all) {
    const since = rules.by_access && one.usedAt && one.usedAt > one.createdAt ? one.usedAt : one.createdAt;
    const age = now.getTime() - since.getTime();
    const tier = tierAt(rules, age);
    // Past its end, it has been due for its last tier since it left the one before.
    const step = stepAt(rules, age);
    const due = new Date(since.getTime() + Math.max(0, step?.age ?? 0));
    if (!nearest || rank(tier) < rank(nearest.tier) || (tier === nearest.tier && due > nearest.due)) {
      nearest = { tier, due };
    }
  }
  return nearest ?? { tier: "hot", due: now };
}

function moveTo(tier: Tier, due: Date) {
  return { kind: "move" as const, due, toTier: tier, reason: `Old enough for the ${tier} tier.` };
}

function copyTo(tier: Tier, due: Date, storage: PlannedStorage | undefined, readable: boolean): Placing | null {
  if (!storage) return null;
  return {
    kind: "replicate",
    due,
    toTier: tier,
    reason: `Its rules want more copies in the ${tier} tier.`,
    from: null,
    toStorageId: storage.id,
    waitsFor: readable ? null : { kind: "copy" },
  };
}

/** The nearest tier where a whole copy lies; where none is whole, where one was. */
function tierOf(one: PlannedSnapshot): Tier {
  const best = (copies: readonly PlannedCopy[]) => copies.toSorted((a, b) => rank(a.tier) - rank(b.tier))[0]?.tier;
  return best(one.copies.filter((copy) => copy.whole)) ?? best(one.copies) ?? "hot";
}

/** What stops everything that takes something away from a source. */
export function suspicion(source: PlannedSource): WaitsFor | null {
  return source.suspicions.length > 0 ? { kind: "acknowledgement", suspicions: source.suspicions } : null;
}

/** What nobody can get at, nobody can remove: it stays in the list for as long as it lies there. */
export function unreached(one: PlannedSnapshot): WaitsFor | null {
  return one.copies.length > 0 && !one.copies.some((copy) => copy.reached) ? { kind: "worker" } : null;
}

function needed(later: readonly PlannedSnapshot[]): WaitsFor | null {
  return later[0] ? { kind: "snapshot", snapshotId: later[0].id } : null;
}

function locked(copies: readonly PlannedCopy[], now: Date): WaitsFor | null {
  const until = Math.max(0, ...copies.map((copy) => copy.lockedUntil?.getTime() ?? 0));
  return until > now.getTime() ? { kind: "lock", until: new Date(until) } : null;
}

function days(ms: number): string {
  const number = Number((ms / DAY).toFixed(2));
  return `${number} ${number === 1 ? "day" : "days"}`;
}
