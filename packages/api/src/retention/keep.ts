import type { KeepRules } from "@xvault/contracts";
import { DAY } from "./ages.ts";
import type { PlannedSnapshot } from "./model.ts";
import { type Period, PERIODS, periodsOf } from "./periods.ts";

type Candidate = Pick<PlannedSnapshot, "id" | "sequence" | "createdAt" | "good">;

/** Whether any rule is set, so that what none of them picks is to go. */
export function thins(keep: KeepRules): boolean {
  return keep.last > 0 || keep.within_days !== null || PERIODS.some((period) => keep[period] > 0);
}

/**
 * Which snapshots the rules pick, and by which of them. 'Newest' is by place in the chain. Of a period's snapshots the newest good one stands for it;
 * one that is partial or damaged does so only where there is no good one. `within_days` counts back from the newest good snapshot, not from now: a
 * source that has not been backed up for a year keeps what it has.
 */
export function pickKept(
  snapshots: readonly Candidate[],
  keep: KeepRules,
  timezone: string,
  now: Date,
  names: (at: Date) => Record<Period, string> = (at) => periodsOf(at, timezone),
): Map<string, string[]> {
  const picked = new Map<string, string[]>();
  const pick = (one: Candidate, rule: string) => picked.set(one.id, [...(picked.get(one.id) ?? []), rule]);
  const newestFirst = snapshots.toSorted((a, b) => b.sequence - a.sequence);
  const good = newestFirst.filter((one) => one.good);

  if (keep.last > 0) {
    const oldest = good[keep.last - 1]?.sequence ?? Number.NEGATIVE_INFINITY;
    // Partial ones between them stay: each may be all there is of some file.
    for (const one of newestFirst) if (one.sequence >= oldest) pick(one, "last");
  }
  for (const period of PERIODS) {
    if (keep[period] === 0) continue;
    const standing = new Map<string, Candidate>();
    for (const one of newestFirst) {
      const name = names(one.createdAt)[period];
      const before = standing.get(name);
      if (!before || (!before.good && one.good)) standing.set(name, one);
    }
    for (const one of [...standing.values()].slice(0, keep[period])) pick(one, period);
  }
  if (keep.within_days !== null) {
    const newest = good[0] ?? newestFirst[0];
    // A snapshot from the future must not push the others out.
    const end = Math.min(newest?.createdAt.getTime() ?? 0, now.getTime());
    for (const one of newestFirst) {
      if (one.createdAt.getTime() >= end - keep.within_days * DAY) pick(one, "within");
    }
  }
  return picked;
}

/**
 * The snapshots that nothing removes: the newest, the newest good ones, what is pinned and what is held. With the reason for each. Where there are
 * fewer good ones than are to stay, the newest of the others stay along with them: what is damaged, or not to be reached for now, may be all there is.
 */
export function untouchable(
  snapshots: readonly (Candidate & Pick<PlannedSnapshot, "pinned" | "heldUntil">)[],
  minKeep: number,
  now: Date,
): Map<string, "newest" | "last" | "pinned" | "held"> {
  const kept = new Map<string, "newest" | "last" | "pinned" | "held">();
  const newestFirst = snapshots.toSorted((a, b) => b.sequence - a.sequence);
  const good = newestFirst.filter((one) => one.good);
  const others = newestFirst.filter((one) => !one.good);
  for (const one of [...good, ...others].slice(0, minKeep)) kept.set(one.id, "last");
  if (newestFirst[0]) kept.set(newestFirst[0].id, "newest");
  for (const one of newestFirst) {
    if (one.heldUntil && one.heldUntil > now) kept.set(one.id, "held");
    if (one.pinned) kept.set(one.id, "pinned");
  }
  return kept;
}
