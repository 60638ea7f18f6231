import { expect, it } from "vitest";
import { DAY } from "./ages.ts";
import { projectSource } from "./project.ts";
import { ruleSet } from "./rules.ts";
import { planReported } from "./reported.ts";
import { aged, copyOn, NOW, sourceOf, STORAGES } from "./test/snapshots.ts";

const rules = ruleSet("cloud-object", { min_keep: 1 });
const inDays = (days: number) => new Date(NOW.getTime() + days * DAY);

function ahead(days: number, ...snapshots: Parameters<typeof sourceOf>) {
  return projectSource(sourceOf(...snapshots), rules, STORAGES, NOW, inDays(days)).map(
    ({ kind, snapshotId, fromTier, toTier, due, waitsFor }) =>
      `${(due.getTime() - NOW.getTime()) / DAY} d: ${kind} ${snapshotId} ${fromTier} → ${toTier ?? "end"}${waitsFor ? ` waits for ${waitsFor.kind}` : ""}`,
  );
}

it("names what is due and what ages bring, the next first", () => {
  expect(ahead(5, aged(6, 2), aged(8, 1))).toEqual(["-1 d: move s1 hot → warm", "1 d: move s2 hot → warm"]);
});

it("names a snapshot that goes through two tiers twice", () => {
  expect(ahead(30, aged(6, 1))).toEqual(["1 d: move s1 hot → warm", "24 d: move s1 warm → cold"]);
});

const old = (sequence: number, days: number, copies = [copyOn("offsite")]) => aged(days, sequence, { copies });

it("ends come but to what is kept", () => {
  expect(ahead(10, old(2, 2550), old(1, 2551))).toEqual(["4 d: expire s1 offsite → end"]);
  expect(ahead(10, old(3, 2540), { ...old(2, 2550), pinned: true })).toEqual([]);
  const needed = old(1, 2550);
  expect(ahead(10, aged(1, 2, { needs: ["s1"] }), { ...needed, copies: [copyOn("hot")] })).toEqual([
    "5 d: expire s1 hot → end waits for snapshot",
    "6 d: move s2 hot → warm",
    "6 d: move s1 hot → warm",
  ]);
});

it("an end of what lies with a revoked worker alone waits in the forecast, too", () => {
  const gone = old(1, 2550, [copyOn("offsite", { whole: false, reached: false })]);
  expect(ahead(10, aged(1, 2), { ...gone, good: false })).toContain("5 d: expire s1 offsite → end waits for worker");
});

it("says once that there is no storage to go to", () => {
  const alone = projectSource(sourceOf(aged(1, 1)), rules, [{ id: "hot", tier: "hot" }], NOW, inDays(1000));
  expect(alone).toMatchObject([{ kind: "move", toTier: "warm", waitsFor: { kind: "storage" } }]);
});

it("projects by the second as by the day", () => {
  const quick = ruleSet("cloud-object", { hot_days: 10 / 86_400 });
  const soon = (seconds: number) => new Date(NOW.getTime() + seconds * 1000);
  const made = { ...aged(0, 1), createdAt: NOW };
  expect(projectSource(sourceOf(made), quick, STORAGES, NOW, soon(9))).toEqual([]);
  expect(projectSource(sourceOf(made), quick, STORAGES, NOW, soon(10))).toMatchObject([{ due: soon(10) }]);
});

it("a reported package goes by its age alone, and never back", () => {
  const reported = (days: number, tier: "hot" | "cold" = "hot") =>
    planReported({ id: "p", createdAt: inDays(-days), tier }, rules, NOW);
  expect(reported(1)).toBeNull();
  expect(reported(8)).toMatchObject({ from: "hot", to: "warm", due: inDays(-1) });
  expect(reported(8, "cold")).toBeNull();
  expect(reported(2555)).toMatchObject({ to: null });
});
