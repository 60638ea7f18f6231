import { type Tier, TIERS } from "@xvault/contracts";
import { DAY } from "../ages.ts";
import type { PlannedCopy, PlannedSnapshot, PlannedSource, PlannedStorage } from "../model.ts";

export const NOW = new Date("2026-06-15T12:00:00Z");

/** A storage in each tier, called like it. */
export const STORAGES: PlannedStorage[] = TIERS.map((tier) => ({ id: tier, tier }));

export function copyOn(tier: Tier, change: Partial<PlannedCopy> = {}): PlannedCopy {
  return { id: `copy on ${tier}`, storageId: tier, tier, whole: true, reached: true, lockedUntil: null, ...change };
}

/** A good snapshot of so many days, with one copy on the hot storage. */
export function aged(days: number, sequence: number, change: Partial<PlannedSnapshot> = {}): PlannedSnapshot {
  return {
    id: `s${sequence}`,
    sequence,
    createdAt: new Date(NOW.getTime() - days * DAY),
    good: true,
    pinned: false,
    heldUntil: null,
    usedAt: null,
    sizeBytes: 1000,
    needs: [],
    copies: [copyOn("hot")],
    ...change,
  };
}

export function sourceOf(...snapshots: PlannedSnapshot[]): PlannedSource {
  return { id: "source", timezone: "UTC", suspicions: [], snapshots };
}
