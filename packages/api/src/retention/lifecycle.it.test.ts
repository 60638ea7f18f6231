// The rules at work against a real PostgreSQL: what a turn queues, what it must not, and what it says. Workers are played by nobody: jobs stay queued.
import {
  alerts,
  and,
  asc,
  copies,
  eq,
  isNull,
  jobs,
  packages,
  snapshots,
  sql,
  workers,
  workspaceSettings,
} from "@xvault/db";
import { manualClock } from "@xvault/kernel";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createPackageService } from "../packages/service.ts";
import { createSnapshotService } from "../snapshots/service.ts";
import { type ServiceWorld, startServices } from "../test/services.ts";
import { createLeaseCall } from "../workers/lease.ts";
import { DAY } from "./ages.ts";
import { createTierLifecycle } from "./lifecycle.ts";
import { createRetentionService } from "./service.ts";
import { tieredWorld } from "./test/world.ts";

let world: ServiceWorld;
let tiers: Awaited<ReturnType<typeof tieredWorld>>;
let service: ReturnType<typeof createRetentionService>;

beforeAll(async () => {
  world = await startServices();
  tiers = await tieredWorld(world);
  service = createRetentionService(world.deps, { version: null });
  await service.setRules(world.caller, { package_type: "user_data", rules: { min_keep: 1 } });
});
afterAll(async () => {
  await world?.stop();
});

const within = <T>(fn: Parameters<typeof world.db.withTenant<T>>[1]) => world.db.withTenant(world.tenantId, fn);
const turn = (deps = world.deps) => createTierLifecycle(deps, { everyMs: 0 }).turn();

const jobsOf = (sourceId: string) =>
  within((tx) =>
    tx
      .select()
      .from(jobs)
      .where(and(eq(jobs.sourceId, sourceId), sql`${jobs.type} <> 'backup'`))
      .orderBy(asc(jobs.createdAt), asc(jobs.id)),
  );
const stateOf = async (id: string) =>
  (await within((tx) => tx.select({ state: snapshots.state }).from(snapshots).where(eq(snapshots.id, id))))[0]?.state;
const openAlerts = (kind: string) =>
  within((tx) =>
    tx
      .select()
      .from(alerts)
      .where(and(eq(alerts.kind, kind), isNull(alerts.resolvedAt))),
  );

describe("a turn", () => {
  it("queues moves to the tier of an age and the removal of what is past its end, once", async () => {
    const sourceId = await tiers.source();
    const ended = await tiers.snapshot(sourceId, { days: 3000, sequence: 1, tier: "offsite" });
    const old = await tiers.snapshot(sourceId, { days: 10, sequence: 2 });
    const young = await tiers.snapshot(sourceId, { days: 1, sequence: 3 });
    await turn();
    const made = await jobsOf(sourceId);
    expect(made.map(({ type, snapshotId }) => `${type} ${snapshotId}`).toSorted()).toEqual([
      `expire ${ended}`,
      `transfer ${old}`,
    ]);
    const move = made.find(({ type }) => type === "transfer");
    expect(move?.params).toMatchObject({ storage_id: tiers.storageIds.get("warm"), remove: true });
    expect(move?.trigger).toBe("schedule");
    expect(await Promise.all([ended, old, young].map(stateOf))).toEqual(["expired", "complete", "complete"]);
    // While its jobs are open, the source is left alone.
    await turn();
    expect(await jobsOf(sourceId)).toHaveLength(2);
  });

  it("begins no move of what a run has come to need since it was queued", async () => {
    const sourceId = await tiers.source();
    const old = await tiers.snapshot(sourceId, { days: 10, sequence: 1 });
    await turn();
    const [move] = await jobsOf(sourceId);
    expect(move).toMatchObject({ type: "transfer", snapshotId: old });
    await tiers.snapshot(sourceId, { days: 0, sequence: 2, needs: [old] });
    const [worker] = await world.db.withSystem((tx) => tx.select().from(workers).where(eq(workers.id, tiers.workerId)));
    if (!worker) throw new Error("the worker is gone");
    const { granted } = await createLeaseCall(world.deps)(worker, { job_id: move?.id ?? "" });
    expect(granted).toBe(false);
    const [after] = await jobsOf(sourceId);
    expect(after).toMatchObject({ state: "failed", error: { code: "SNAPSHOT_NEEDED" } });
    // The next turn knows, and waits.
    await turn();
    expect(await jobsOf(sourceId)).toHaveLength(1);
  });

  it("tries a removal again that has failed, an hour later and as the same person's", async () => {
    const sourceId = await tiers.source();
    const ended = await tiers.snapshot(sourceId, { days: 3000, sequence: 1, tier: "offsite" });
    await tiers.snapshot(sourceId, { days: 1, sequence: 2 });
    await turn();
    const [first] = await jobsOf(sourceId);
    expect(first).toMatchObject({ type: "expire", snapshotId: ended });
    const fail = (ago: number) =>
      within((tx) =>
        tx
          .update(jobs)
          .set({ state: "failed", finishedAt: new Date(Date.now() - ago) })
          .where(eq(jobs.id, first?.id ?? "")),
      );
    await fail(10 * 60_000);
    await turn();
    expect(await jobsOf(sourceId)).toHaveLength(1);
    await fail(2 * 3_600_000);
    await turn();
    const [, second, ...more] = await jobsOf(sourceId);
    expect(more).toEqual([]);
    const { type, trigger, params, snapshotId, targetWorkerId } = first ?? {};
    expect(second).toMatchObject({ state: "queued", type, trigger, params, snapshotId, targetWorkerId });
    // While that is open, there is no third.
    await turn();
    expect(await jobsOf(sourceId)).toHaveLength(2);
  });

  it("waits while a job works on the source", async () => {
    const sourceId = await tiers.source();
    await tiers.snapshot(sourceId, { days: 10, sequence: 1 });
    await tiers.snapshot(sourceId, { days: 1, sequence: 2 });
    await within((tx) =>
      tx
        .update(jobs)
        .set({ state: "running" })
        .where(and(eq(jobs.sourceId, sourceId), eq(jobs.type, "backup"))),
    );
    await turn();
    expect(await jobsOf(sourceId)).toEqual([]);
    await within((tx) => tx.update(jobs).set({ state: "success" }).where(eq(jobs.sourceId, sourceId)));
    await turn();
    expect(await jobsOf(sourceId)).toHaveLength(1);
  });

  it("keeps what is pinned, on hold, needed or the newest", async () => {
    const sourceId = await tiers.source();
    const snapshotService = createSnapshotService(world.deps);
    const old = { days: 3000, tier: "offsite" as const };
    const pinned = await tiers.snapshot(sourceId, { ...old, sequence: 1 });
    const held = await tiers.snapshot(sourceId, { ...old, sequence: 2 });
    const needed = await tiers.snapshot(sourceId, { ...old, sequence: 3 });
    const newest = await tiers.snapshot(sourceId, { ...old, sequence: 4, needs: [needed] });
    await snapshotService.pin(world.caller, { id: pinned, note: "the audit" });
    const until = new Date(Date.now() + DAY).toISOString();
    await snapshotService.hold(world.caller, { id: held, until, reason: "a lawsuit" });
    await turn();
    expect(await jobsOf(sourceId)).toEqual([]);
    expect(await Promise.all([pinned, held, needed, newest].map(stateOf))).toEqual(Array(4).fill("complete"));
    const removal = snapshotService.remove(world.caller, { id: pinned, reason: "" });
    await expect(removal).rejects.toMatchObject({ code: "SNAPSHOT_NEEDED" });
    await expect(snapshotService.remove(world.caller, { id: held, reason: "" })).rejects.toMatchObject({
      code: "SNAPSHOT_NEEDED",
    });
    // Once nothing keeps them any more, they go.
    await snapshotService.unpin(world.caller, pinned);
    await snapshotService.hold(world.caller, { id: held, until: null, reason: "settled" });
    await turn();
    expect(await Promise.all([pinned, held, needed].map(stateOf))).toEqual(["expired", "expired", "complete"]);
  });

  it("stops and alerts where a snapshot looks wrong, until somebody says that it is right", async () => {
    const sourceId = await tiers.source();
    const doomed = await tiers.snapshot(sourceId, { days: 3000, sequence: 1, tier: "offsite" });
    for (const sequence of [2, 3, 4]) await tiers.snapshot(sourceId, { days: 6 - sequence, sequence });
    await tiers.snapshot(sourceId, { days: 0, sequence: 5, columns: { plainBytes: 1000 } });
    await turn();
    expect(await jobsOf(sourceId)).toEqual([]);
    const [alert] = await openAlerts("retention_stopped");
    expect(alert).toMatchObject({ severity: "critical", subjectId: sourceId });
    expect(alert?.message).toMatch(/snapshot 5 looks wrong.*1000 B/);
    const suspicions = await service.suspicions(world.caller);
    expect(suspicions).toMatchObject([{ source_id: sourceId, findings: [{ kind: "size", sequence: 5 }] }]);
    const { items } = await service.plan(world.caller);
    expect(items.find(({ snapshot_id }) => snapshot_id === doomed)?.waits_for?.kind).toBe("acknowledgement");

    await service.acknowledge(world.caller, { source_id: sourceId, note: "moved to another disk" });
    expect(await openAlerts("retention_stopped")).toEqual([]);
    await turn();
    expect(await stateOf(doomed)).toBe("expired");
    await expect(service.acknowledge(world.caller, { source_id: sourceId, note: "" })).rejects.toMatchObject({
      code: "CONFLICT",
    });
  });

  it("lets what is only reported age by its row, and end", async () => {
    const packageService = createPackageService(world.deps);
    const ingest = (path: string) =>
      packageService.ingest(world.caller, { source_id: "my-laptop", path, package_type: "cache" });
    const [young, old, ended] = [await ingest("a"), await ingest("b"), await ingest("c")];
    const age = (id: string, days: number) =>
      within((tx) =>
        tx
          .update(packages)
          .set({ createdAt: new Date(Date.now() - days * DAY) })
          .where(eq(packages.id, id)),
      );
    await age(old.job_id, 40);
    await age(ended.job_id, 2600);
    const { items } = await service.projections(world.caller, { days: 8, limit: 100 });
    expect(items.filter(({ evidence }) => evidence === "reported").map(({ path, to_tier }) => [path, to_tier])).toEqual(
      [
        ["c", null],
        ["b", "cold"],
        ["a", "warm"],
      ],
    );
    await turn();
    const tierOf = async (id: string) => (await packageService.get(world.caller, id)).tier;
    expect(await tierOf(young.job_id)).toBe("hot");
    expect(await tierOf(old.job_id)).toBe("cold");
    await expect(packageService.get(world.caller, ended.job_id)).rejects.toMatchObject({ code: "NOT_FOUND" });
  });

  it("shows a package where its nearest whole copy is", async () => {
    const sourceId = await tiers.source();
    const id = await tiers.snapshot(sourceId, { days: 1, sequence: 1, tier: "hot" });
    const cold = tiers.storageIds.get("cold") ?? "";
    await within((tx) => tx.update(copies).set({ storageId: cold }).where(eq(copies.snapshotId, id)));
    await turn();
    const [shown] = await within((tx) => tx.select().from(packages).where(eq(packages.snapshotId, id)));
    expect(shown?.tier).toBe("cold");
  });
});

describe("clocks that jump (promise 28)", () => {
  it.each([366, -366, 2, -2])("nothing ends or moves while the hub's clock is %i days off", async (days) => {
    const sourceId = await tiers.source();
    const doomed = await tiers.snapshot(sourceId, { days: 3000, sequence: 1, tier: "offsite" });
    await tiers.snapshot(sourceId, { days: 10, sequence: 2 });
    await tiers.snapshot(sourceId, { days: 1, sequence: 3 });
    await turn({ ...world.deps, clock: manualClock(new Date(Date.now() + days * DAY)) });
    expect(await jobsOf(sourceId)).toEqual([]);
    const [alert] = await openAlerts("clock_jumped");
    expect(alert?.message).toMatch(/more than a day apart/);
    expect((await service.plan(world.caller)).rests?.reason).toMatch(/clock/);
    // With the clock right again it still rests, for a day or until somebody says that it is right.
    await turn();
    expect(await jobsOf(sourceId)).toEqual([]);
    await service.resume(world.caller);
    expect(await openAlerts("clock_jumped")).toEqual([]);
    await turn();
    expect(await jobsOf(sourceId)).toHaveLength(2);
    expect(await stateOf(doomed)).toBe("expired");
  });

  it("keeps what others have in the settings", async () => {
    const mine = eq(workspaceSettings.tenantId, world.tenantId);
    const more = JSON.stringify({ verification: { depth: "sample" } });
    await within((tx) =>
      tx
        .update(workspaceSettings)
        .set({ settings: sql`${workspaceSettings.settings} || ${more}::jsonb` })
        .where(mine),
    );
    await turn();
    await service.updateConfig(world.caller, { preset: "on-prem" });
    const [row] = await within((tx) => tx.select().from(workspaceSettings).where(mine));
    expect(Object.keys(row?.settings ?? {}).toSorted()).toEqual(["lifecycle", "retention", "verification"]);
    await service.updateConfig(world.caller, { preset: "cloud-object" });
  });
});

describe("the config", () => {
  it("has the seed's shape, and fills in a preset", async () => {
    const config = await service.updateConfig(world.caller, { preset: "cost-optimized" });
    expect(config.retention).toEqual({
      audit_days: 365,
      operational_days: 30,
      backup: { hot_days: 3, warm_days: 14, cold_days: 180, offsite_days: 1095 },
    });
    const changed = await service.updateConfig(world.caller, {
      retention: { audit_days: null, backup: { offsite_days: null } },
    });
    expect(changed.retention).toMatchObject({ audit_days: null, backup: { hot_days: 3, offsite_days: null } });
    expect(changed.rule_sets.user_data).toMatchObject({ hot_days: 3, offsite_days: null, min_keep: 1 });
    expect(changed.rule_sets.cache.min_keep).toBe(3);
    const back = await service.updateConfig(world.caller, { preset: "cloud-object" });
    expect(back.retention).toMatchObject({ audit_days: 365, backup: { offsite_days: 2555 } });
  });

  it("refuses ages that do not rise, also where a type's own no longer fit", async () => {
    const wrong = service.updateConfig(world.caller, { retention: { backup: { warm_days: 2 } } });
    await expect(wrong).rejects.toMatchObject({ code: "RETENTION_INVALID" });
    await service.setRules(world.caller, { package_type: "cache", rules: { hot_days: 20 } });
    const tooShort = service.updateConfig(world.caller, { preset: "cost-optimized" });
    await expect(tooShort).rejects.toMatchObject({ code: "RETENTION_INVALID" });
    const { overrides } = await service.setRules(world.caller, { package_type: "cache", rules: {} });
    expect(overrides).toEqual({});
  });

  it("writes what was changed into the audit log, and shows tiers and parts", async () => {
    const [entry] = await within((tx) =>
      tx.execute<{ action: string }>(
        sql`select action from audit_log where action like 'retention.%' order by seq desc limit 1`,
      ),
    );
    expect(entry?.action).toBe("retention.rules_changed");
    const { buckets, clients } = await service.buckets(world.caller, 7);
    expect(buckets.map(({ tier, storages }) => [tier, storages.includes(tier)])).toEqual([
      ["hot", true],
      ["warm", true],
      ["cold", true],
      ["offsite", true],
    ]);
    expect(buckets.find(({ tier }) => tier === "hot")?.outgoing.count).toBeGreaterThan(0);
    expect(clients.count).toBeGreaterThan(1);
    const status = await service.status(world.caller);
    expect(status.components.find(({ kind }) => kind === "queue")?.state).toBe("ok");
    expect(status.components.filter(({ kind }) => kind === "storage")).toHaveLength(5);
  });
});
