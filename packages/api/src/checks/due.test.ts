import { DEFAULT_VERIFICATION } from "@xvault/contracts";
import type { CopyRow } from "@xvault/db";
import { newId } from "@xvault/kernel";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { lastPassed, nextCheck } from "./due.ts";

const DAY = 24 * 60 * 60_000;
const now = new Date("2026-06-01T00:00:00Z");
const ago = (days: number) => new Date(now.getTime() - days * DAY);
const policy = DEFAULT_VERIFICATION;

function copyOf(change: Partial<CopyRow> = {}): CopyRow {
  return {
    id: "00000000-0000-4000-8000-000000000001",
    tenantId: newId(),
    snapshotId: newId(),
    storageId: newId(),
    workerId: null,
    state: "complete",
    location: "",
    sizeBytes: 1,
    lockedUntil: null,
    checkedAt: null,
    checkedDepth: null,
    check: null,
    createdAt: ago(400),
    removedAt: null,
    ...change,
  };
}
const passed = (times: Record<string, Date>) => ({
  outcome: "ok",
  at: now.toISOString(),
  passed: Object.fromEntries(Object.entries(times).map(([depth, at]) => [depth, at.toISOString()])),
});

describe("the next check of a copy", () => {
  test("is the deepest that is due, and covers the others", () => {
    const all = { presence: ago(0.1), sample: ago(1), whole: ago(10) };
    const due = (times: Partial<typeof all>) => {
      const next = nextCheck(copyOf({ check: passed({ ...all, ...times }) }), policy, now);
      return next && next.at <= now ? next.depth : null;
    };
    expect(due({})).toBe(null);
    expect(due({ presence: ago(2), sample: ago(2) })).toBe("presence");
    expect(due({ presence: ago(2), sample: ago(8) })).toBe("sample");
    expect(due({ presence: ago(0.1), sample: ago(8), whole: ago(91) })).toBe("whole");
    // A deep one that has just passed has looked at all that the others look at.
    expect(due({ presence: ago(5), sample: ago(50), whole: ago(0.2) })).toBe(null);
  });

  test("comes within its interval, a tenth of it early at most, for each copy at its own time", () => {
    const times = new Set<number>();
    fc.assert(
      fc.property(fc.uuid(), (id) => {
        const copy = copyOf({ id, check: passed({ presence: ago(0), sample: ago(0), whole: ago(0) }) });
        const { at, depth } = nextCheck(copy, { ...policy, presence_days: null }, now) ?? { at: now, depth: null };
        const days = (at.getTime() - now.getTime()) / DAY;
        expect(depth).toBe("sample");
        expect(days).toBeLessThanOrEqual(7);
        expect(days).toBeGreaterThanOrEqual(6.3);
        times.add(at.getTime());
      }),
    );
    expect(times.size).toBeGreaterThan(50);
  });

  test("is none where the policy asks for none, and of what is on its way out", () => {
    const nothing = { ...policy, presence_days: null, sample_days: null, whole_days: null };
    expect(nextCheck(copyOf(), nothing, now)).toBe(null);
    expect(nextCheck(copyOf({ state: "removing" }), policy, now)).toBe(null);
    expect(nextCheck(copyOf(), { ...nothing, whole_days: 30 }, now)?.depth).toBe("whole");
  });

  test("of a damaged copy is one that can clear it", () => {
    const bad = (depth: string, more = {}) => ({ outcome: "corrupt", at: ago(8).toISOString(), depth, ...more });
    const next = (state: CopyRow["state"], check: Record<string, unknown>) =>
      nextCheck(copyOf({ state, check, checkedAt: ago(8) }), policy, now)?.depth;
    expect(next("missing", bad("presence"))).toBe("presence");
    expect(next("corrupt", bad("sample"))).toBe("whole");
    expect(next("corrupt", bad("content"))).toBe("whole");
    expect(next("corrupt", bad("whole", { in_snapshot_id: newId() }))).toBe("presence");
  });
});

test("what a clock that was ahead wrote down counts for nothing (promise 28)", () => {
  const check = passed({ whole: new Date(now.getTime() + 365 * DAY), sample: ago(3) });
  const copy = copyOf({ check, checkedAt: new Date(now.getTime() + 365 * DAY), checkedDepth: "whole" });
  expect(lastPassed(copy, "whole", now)).toEqual(copy.createdAt);
  expect(lastPassed(copy, "sample", now)).toEqual(ago(3));
  expect(nextCheck(copy, policy, now)).toMatchObject({ depth: "whole" });
});

test("a copy counts as checked wholly when it was made, or made anew", () => {
  const made = copyOf({ createdAt: ago(3) });
  expect(lastPassed(made, "whole", now)).toEqual(ago(3));
  const anew = copyOf({ check: { outcome: "ok", at: "" }, checkedAt: ago(1), checkedDepth: "whole" });
  expect(lastPassed({ ...anew, check: { outcome: "ok", at: ago(1).toISOString() } }, "whole", now)).toEqual(ago(1));
});
