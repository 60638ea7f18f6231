// What keeps the rules away from a source, and what must not; against a real PostgreSQL. Workers are played by nobody.
import { eq, type JobRow, jobs, snapshots } from "@xvault/db";
import { newId } from "@xvault/kernel";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type ServiceWorld, startServices } from "../test/services.ts";
import { createTierLifecycle } from "./lifecycle.ts";
import { createRetentionService } from "./service.ts";
import { tieredWorld } from "./test/world.ts";

let world: ServiceWorld;
let tiers: Awaited<ReturnType<typeof tieredWorld>>;

beforeAll(async () => {
  world = await startServices();
  tiers = await tieredWorld(world);
  const service = createRetentionService(world.deps, { version: null });
  await service.setRules(world.caller, { package_type: "user_data", rules: { min_keep: 1 } });
});
afterAll(async () => {
  await world?.stop();
});

const within = <T>(fn: Parameters<typeof world.db.withTenant<T>>[1]) => world.db.withTenant(world.tenantId, fn);
const turn = () => createTierLifecycle(world.deps, { everyMs: 0 }).turn();
const stateOf = async (id: string) =>
  (await within((tx) => tx.select({ state: snapshots.state }).from(snapshots).where(eq(snapshots.id, id))))[0]?.state;

/** A source with a snapshot that is to end, and a newer one. */
async function doomed(on?: string) {
  const sourceId = await tiers.source();
  const place = on === undefined ? {} : { on };
  const ended = await tiers.snapshot(sourceId, { days: 3000, sequence: 1, tier: "offsite", ...place });
  const newest = await tiers.snapshot(sourceId, { days: 1, sequence: 2 });
  return { sourceId, ended, newest };
}

async function job(columns: Pick<JobRow, "type" | "state" | "sourceId" | "snapshotId"> & Partial<JobRow>) {
  const id = newId();
  await within((tx) => tx.insert(jobs).values({ id, tenantId: world.tenantId, trigger: "manual", ...columns }));
  return id;
}

for (const type of ["restore", "quote", "drill", "verify", "transfer"] as const) {
  for (const state of ["queued", "running"] as const) {
    it(`ends nothing that a ${type} to another server reads (${state})`, async () => {
      const { ended, newest } = await doomed();
      const elsewhere = await tiers.source();
      // Of any of its snapshots: the newest one may use data of the one that is to end.
      const open = [ended, newest].map((snapshotId) => job({ type, state, sourceId: elsewhere, snapshotId }));
      for (const id of await Promise.all(open)) {
        await turn();
        expect(await stateOf(ended)).toBe("complete");
        await within((tx) => tx.update(jobs).set({ state: "success", finishedAt: new Date() }).where(eq(jobs.id, id)));
      }
      await turn();
      expect(await stateOf(ended)).toBe("expired");
    });
  }
}

it("what waits for a worker that was revoked keeps no source from its rules", async () => {
  const revoked = await tiers.worker("revoked");
  for (const type of ["expire", "transfer", "restore"] as const) {
    const { sourceId, ended, newest } = await doomed();
    const waiting = { type, sourceId, snapshotId: newest, state: "queued" } as const;
    await job({ ...waiting, targetWorkerId: revoked });
    const id = await job({ ...waiting, targetWorkerId: tiers.workerId });
    await turn();
    expect([type, await stateOf(ended)]).toEqual([type, "complete"]);
    await within((tx) => tx.update(jobs).set({ state: "cancelled", finishedAt: new Date() }).where(eq(jobs.id, id)));
    await turn();
    expect([type, await stateOf(ended)]).toEqual([type, "expired"]);
  }
});
