import { type CheckDepth, checkResultSchema, type CheckResult, type VerificationPolicy } from "@xvault/contracts";
import type { CopyRow } from "@xvault/db";
import { createHash } from "node:crypto";

const DAY = 24 * 60 * 60_000;
/** From the shallowest to the deepest; each looks at all that those before it look at. */
const DEPTHS: readonly CheckDepth[] = ["presence", "sample", "whole", "content"];
/** What the schedule asks for: contents are for drills, which need a key. The deepest first. */
const SCHEDULED = ["whole", "sample", "presence"] as const;
/** By how much of its interval a check may come early, so that copies of one night are not all due in one night again. */
const SPREAD = 0.1;
/** The clocks of several hubs differ by less. Milliseconds. */
const CLOCKS_APART = 5 * 60_000;

/** Whether a check of one depth looks at all that another does. */
export function covers(depth: CheckDepth, other: CheckDepth): boolean {
  return DEPTHS.indexOf(depth) >= DEPTHS.indexOf(other);
}

/** What the last check of a copy found; null when there was none, or nothing that can be understood. */
export function lastResult(copy: CopyRow): CheckResult | null {
  return checkResultSchema.safeParse(copy.check).data ?? null;
}

/**
 * When a copy was last found good to a depth. It was read back when it was made, which is as good as a whole check. A time that is yet to come
 * was written by a clock that was ahead, and counts for nothing.
 */
export function lastPassed(copy: CopyRow, depth: CheckDepth, now: Date): Date {
  const result = lastResult(copy);
  const passed: CheckResult["passed"] = { ...result?.passed };
  if (result?.outcome === "ok" && copy.checkedAt && copy.checkedDepth) {
    passed[copy.checkedDepth] = copy.checkedAt.toISOString();
  }
  const times = DEPTHS.filter((one) => covers(one, depth)).flatMap((one) => passed[one] ?? []);
  const latest = now.getTime() + CLOCKS_APART;
  const known = [copy.createdAt.getTime(), ...times.map((time) => Date.parse(time))].filter((time) => time <= latest);
  return new Date(Math.max(0, ...known));
}

/**
 * The depth to which a damaged copy has to be found good, to count as whole again: what found the damage, and more where that was by chance. One
 * whose own bytes are good, and that waits for an earlier snapshot's, needs no more than to be there.
 */
export function clearingDepth(copy: CopyRow): "presence" | "whole" {
  const last = lastResult(copy);
  return last?.depth === "presence" || last?.in_snapshot_id !== undefined ? "presence" : "whole";
}

/**
 * The check of a copy that is due first, and when; of several that are due by then, the deepest, which covers the others. Null where the policy
 * asks for none, or the copy is not one that is kept. A damaged copy is looked at again as often as a sound one, as deeply as would clear it.
 */
export function nextCheck(
  copy: CopyRow,
  policy: VerificationPolicy,
  now: Date,
): { depth: (typeof SCHEDULED)[number]; at: Date } | null {
  if (copy.state !== "complete" && copy.state !== "corrupt" && copy.state !== "missing") return null;
  const days = { presence: policy.presence_days, sample: policy.sample_days, whole: policy.whole_days };
  if (copy.state !== "complete") {
    const depth = clearingDepth(copy);
    const wait = depth === "presence" ? days.presence : (days.sample ?? days.whole);
    const seen = copy.checkedAt ?? copy.createdAt;
    return wait === null ? null : { depth, at: after(copy, seen, wait) };
  }
  const due = SCHEDULED.flatMap((depth) => {
    const wait = days[depth];
    return wait === null ? [] : { depth, at: after(copy, lastPassed(copy, depth, now), wait) };
  });
  const first = due.toSorted((a, b) => a.at.getTime() - b.at.getTime())[0];
  return due.find(({ at }) => at <= now) ?? first ?? null;
}

/** A moment so many days later, or up to a tenth of them sooner: for one copy always the same, for all together evenly. */
function after(copy: CopyRow, time: Date, days: number): Date {
  const lot = createHash("sha256").update(copy.id).digest().readUInt32BE() / 2 ** 32;
  return new Date(time.getTime() + days * DAY * (1 - SPREAD * lot));
}
