// What lies where nobody can get at it, or cannot be restored, beside what can; against a real PostgreSQL.
import type { Manifest } from "@xvault/contracts";
import { copies, eq, inArray, snapshots } from "@xvault/db";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type ServiceWorld, startServices } from "../test/services.ts";
import { createTierLifecycle } from "./lifecycle.ts";
import { loadSeries } from "./load.ts";
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
const states = async (...ids: string[]) => {
  const rows = await within((tx) => tx.select().from(snapshots).where(inArray(snapshots.id, ids)));
  return ids.map((id) => rows.find((row) => row.id === id)?.state);
};
const old = { days: 3000, tier: "offsite" } as const;

async function doomed(on?: string) {
  const sourceId = await tiers.source();
  const ended = await tiers.snapshot(sourceId, { ...old, sequence: 1, ...(on === undefined ? {} : { on }) });
  await tiers.snapshot(sourceId, { days: 1, sequence: 2 });
  return ended;
}

it("what lies with a revoked worker alone waits and says for what; all else goes on", async () => {
  const revoked = await tiers.worker("revoked");
  const unreached = await doomed(revoked);
  const after = await doomed();
  await turn();
  expect(await states(unreached, after)).toEqual(["complete", "expired"]);
  const waits = { kind: "copy", message: expect.stringMatching(/worker that was revoked/) };
  const { items } = await service.plan(world.caller);
  expect(items.find(({ snapshot_id }) => snapshot_id === unreached)).toMatchObject({
    kind: "expire",
    waits_for: waits,
  });
  // With its disk at another worker it ends.
  await within((tx) => tx.update(copies).set({ workerId: tiers.workerId }).where(eq(copies.snapshotId, unreached)));
  await turn();
  expect(await states(unreached)).toEqual(["expired"]);
});

it("a source that cannot be gone through is told of in the log, and keeps no other one from its rules", async () => {
  const broken = await tiers.source();
  const manifest = { references: 5 } as unknown as Manifest;
  const unread = await tiers.snapshot(broken, { ...old, sequence: 1, columns: { manifest } });
  const after = await doomed();
  const said: unknown[] = [];
  const log = { error: (about: unknown) => said.push(about) } as unknown as typeof world.deps.log;
  await turn({ ...world.deps, log });
  expect(said).toEqual([{ err: expect.any(Error), tenantId: world.tenantId, sourceId: broken }]);
  expect(await states(unread, after)).toEqual(["complete", "expired"]);
  await within((tx) => tx.update(snapshots).set({ state: "lost" }).where(eq(snapshots.id, unread)));
});

it("min_keep counts what can be restored: with whole copies of all that it needs beside it", async () => {
  const sourceId = await tiers.source();
  const intact = await tiers.snapshot(sourceId, { ...old, sequence: 1 });
  const base = await tiers.snapshot(sourceId, { ...old, sequence: 2 });
  const needing = await tiers.snapshot(sourceId, { ...old, sequence: 3, needs: [base] });
  // What it needs is whole, but on another storage, and on another worker's disk of the same one.
  const apart = await tiers.snapshot(sourceId, { days: 3000, tier: "cold", sequence: 4, needs: [intact] });
  const other = await tiers.worker("active");
  const away = await tiers.snapshot(sourceId, { ...old, sequence: 5, needs: [intact], on: other });
  await tiers.snapshot(sourceId, { days: 1, sequence: 6, partial: true });

  const good = async () => {
    const [series] = await within((tx) => loadSeries(tx, world.tenantId, [sourceId]));
    return series?.planned.snapshots.filter((one) => one.good).map(({ id }) => id);
  };
  expect(await good()).toEqual([intact, base, needing]);
  await within((tx) => tx.update(copies).set({ state: "corrupt" }).where(eq(copies.snapshotId, base)));
  expect(await good()).toEqual([intact]);
  await turn();
  expect(await states(intact, needing, apart, away)).toEqual(["complete", "expired", "expired", "expired"]);
});
