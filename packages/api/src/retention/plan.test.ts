import { XVaultError } from "@xvault/kernel";
import { describe, expect, it } from "vitest";
import { planSource } from "./plan.ts";
import { ruleSet } from "./rules.ts";
import { aged, copyOn, NOW, sourceOf, STORAGES } from "./test/snapshots.ts";

const rules = ruleSet("cloud-object", { min_keep: 1 });

function plan(...snapshots: Parameters<typeof sourceOf>) {
  return planSource(sourceOf(...snapshots), rules, STORAGES, NOW).map(
    ({ kind, snapshotId, toTier, waitsFor }) =>
      `${kind} ${snapshotId} ${toTier ?? "end"}${waitsFor ? ` waits for ${waitsFor.kind}` : ""}`,
  );
}

describe("by age", () => {
  it("a snapshot goes to the tier of its age and ends after the last one", () => {
    const young = aged(1, 6);
    expect(plan(young)).toEqual([]);
    expect(plan(young, aged(7, 5))).toEqual(["move s5 warm"]);
    expect(plan(young, aged(30, 5))).toEqual(["move s5 cold"]);
    expect(plan(young, aged(365, 5))).toEqual(["move s5 offsite"]);
    expect(plan(young, aged(2555, 5))).toEqual(["expire s5 end"]);
  });

  it("the copy that it leaves is named, and where it goes", () => {
    const [move] = planSource(sourceOf(aged(8, 1)), rules, STORAGES, NOW);
    expect(move).toMatchObject({ from: { storageId: "hot" }, toStorageId: "warm", fromTier: "hot" });
    expect(move?.due).toEqual(new Date(NOW.getTime() - 86_400_000));
  });

  it("null keeps it where it is for ever", () => {
    const stays = ruleSet("cloud-object", { min_keep: 1, cold_days: null, offsite_days: null });
    const old = aged(10_000, 1, { copies: [copyOn("cold")] });
    expect(planSource(sourceOf(aged(1, 2), old), stays, STORAGES, NOW)).toEqual([]);
  });

  it("a tier without a storage is skipped; where none is left the plan says so", () => {
    const without = STORAGES.filter(({ tier }) => tier === "hot" || tier === "offsite");
    expect(planSource(sourceOf(aged(8, 1)), rules, without, NOW)[0]).toMatchObject({ toTier: "offsite" });
    const [stuck] = planSource(sourceOf(aged(8, 1)), rules, [{ id: "hot", tier: "hot" }], NOW);
    expect(stuck).toMatchObject({ toStorageId: null, waitsFor: { kind: "storage", tier: "warm" } });
    // What is old enough for a tier that is not there goes as far as it can.
    const near = STORAGES.filter(({ tier }) => tier === "hot" || tier === "warm");
    expect(planSource(sourceOf(aged(400, 1)), rules, near, NOW)[0]).toMatchObject({
      toTier: "warm",
      toStorageId: "warm",
    });
    const far = aged(400, 1, { copies: [copyOn("warm")] });
    expect(planSource(sourceOf(far), rules, near, NOW)[0]).toMatchObject({
      toStorageId: null,
      waitsFor: { kind: "storage" },
    });
  });

  it("what was restored from counts as new for its tier where the rules say so, and ends all the same", () => {
    const byAccess = { ...rules, by_access: true };
    const used = { usedAt: new Date(NOW.getTime() - 3_600_000) };
    expect(planSource(sourceOf(aged(8, 1, used)), byAccess, STORAGES, NOW)).toEqual([]);
    expect(planSource(sourceOf(aged(8, 1, used)), rules, STORAGES, NOW)).toHaveLength(1);
    expect(planSource(sourceOf(aged(1, 2), aged(3000, 1, used)), byAccess, STORAGES, NOW)[0]?.kind).toBe("expire");
  });
});

describe("copies", () => {
  const twice = ruleSet("cloud-object", { min_keep: 1, replicas: { hot: 1, warm: 2, cold: 1, offsite: 1 } });
  const two = [...STORAGES, { id: "warm 2", tier: "warm" as const }];

  it("the old copy goes only with the last of the new ones", () => {
    const before = aged(8, 1);
    const half = aged(8, 1, { copies: [copyOn("hot"), copyOn("warm")] });
    const done = aged(8, 1, { copies: [copyOn("warm"), copyOn("warm", { storageId: "warm 2" })] });
    expect(planSource(sourceOf(before), twice, two, NOW)).toMatchObject([{ kind: "replicate", toStorageId: "warm" }]);
    expect(planSource(sourceOf(half), twice, two, NOW)).toMatchObject([{ kind: "move", toStorageId: "warm 2" }]);
    expect(planSource(sourceOf(done), twice, two, NOW)).toEqual([]);
  });

  it("a copy that is there already is moved to without another", () => {
    const both = aged(8, 1, { copies: [copyOn("hot"), copyOn("warm")] });
    expect(planSource(sourceOf(both), rules, STORAGES, NOW)).toMatchObject([{ kind: "move", toStorageId: "warm" }]);
  });

  it("is never taken away while the other is not whole", () => {
    const damaged = aged(8, 1, { copies: [copyOn("hot"), copyOn("warm", { whole: false })] });
    expect(plan(damaged)).toEqual(["move s1 warm waits for copy"]);
  });

  it("that somebody put into a colder tier stays there", () => {
    expect(plan(aged(1, 1, { copies: [copyOn("offsite")] }))).toEqual([]);
  });

  it("that lie with revoked workers alone wait for somebody who brings their disks back", () => {
    const gone = copyOn("offsite", { whole: false, reached: false });
    expect(plan(aged(1, 2), aged(3000, 1, { good: false, copies: [gone] }))[0]).toBe("expire s1 end waits for worker");
    const both = aged(3000, 1, { copies: [gone, copyOn("cold", { storageId: "other" })] });
    expect(plan(aged(1, 2), both)[0]).toBe("expire s1 end");
  });

  it("that are locked wait for the lock", () => {
    const lockedUntil = new Date(NOW.getTime() + 1000);
    expect(plan(aged(8, 1, { copies: [copyOn("hot", { lockedUntil })] }))).toEqual(["move s1 warm waits for lock"]);
    const old = aged(3000, 1, { copies: [copyOn("offsite", { lockedUntil })] });
    expect(plan(aged(1, 2), old)).toEqual(["expire s1 end waits for lock"]);
  });
});

describe("what stays", () => {
  const old = (sequence: number, change = {}) =>
    aged(3000 - sequence, sequence, { copies: [copyOn("offsite")], ...change });

  it("pins, holds and the newest good ones, counted and not dated", () => {
    const three = ruleSet("cloud-object");
    const held = { heldUntil: new Date(NOW.getTime() + 1000) };
    const all = [1, 2, 3, 4, 5, 6, 7, 8].map((sequence) => old(sequence));
    all[0] = old(1, { pinned: true });
    all[1] = old(2, held);
    all[6] = old(7, { good: false });
    const ending = planSource(sourceOf(...all), three, STORAGES, NOW).map(({ snapshotId }) => snapshotId);
    // 8, 6 and 5 are the newest three that are good.
    expect(ending).toEqual(["s7", "s4", "s3"]);
  });

  it("a hold that has lapsed holds nothing", () => {
    expect(plan(aged(1, 2), old(1, { heldUntil: new Date(NOW.getTime() - 1) }))).toEqual(["expire s1 end"]);
  });

  it("all of a source where something looks wrong, but for further copies", () => {
    const source = { ...sourceOf(aged(1, 3), aged(8, 2), old(1)), suspicions: ["It shrank."] };
    const waits = planSource(source, rules, STORAGES, NOW).map(({ kind, waitsFor }) => [kind, waitsFor?.kind]);
    expect(waits).toEqual([
      ["move", "acknowledgement"],
      ["expire", "acknowledgement"],
    ]);
  });
});

describe("what later snapshots refer to", () => {
  it("ends after them, the newest first", () => {
    const first = aged(3000, 1);
    const second = aged(2990, 2, { needs: ["s1"] });
    expect(plan(aged(1, 3, { needs: ["s1"] }), first)).toEqual(["expire s1 end waits for snapshot"]);
    expect(plan(aged(1, 3), second, first)).toEqual(["expire s2 end", "expire s1 end waits for snapshot"]);
  });

  it("goes to a tier with the youngest of them", () => {
    const base = aged(40, 1);
    const later = aged(10, 2, { needs: ["s1"] });
    expect(plan(aged(3, 3, { needs: ["s1"] }), base)).toEqual([]);
    expect(plan(later, base)).toEqual(["move s2 warm", "move s1 warm waits for snapshot"]);
    const moved = aged(10, 2, { needs: ["s1"], copies: [copyOn("warm")] });
    const there = aged(40, 1, { copies: [copyOn("hot"), copyOn("warm")] });
    expect(plan(moved, there)).toEqual(["move s1 warm"]);
  });
});

describe("rule sets", () => {
  const problem = (change: Parameters<typeof ruleSet>[1]) => {
    try {
      ruleSet("cloud-object", change);
    } catch (error) {
      return error instanceof XVaultError ? `${error.code} ${error.message}` : error;
    }
    return null;
  };

  it("have ages that rise, up to the tier where a package stays", () => {
    expect(problem({ warm_days: 30 })).toBeNull();
    expect(problem({ warm_days: 7 })).toMatch(/RETENTION_INVALID warm_days \(7\) is not above hot_days \(7\)/);
    expect(problem({ offsite_days: 100 })).toMatch(/offsite_days/);
    expect(problem({ offsite_days: null })).toBeNull();
    expect(problem({ cold_days: null })).toMatch(/offsite_days never counts/);
    expect(problem({ cold_days: null, offsite_days: null })).toBeNull();
  });
});
