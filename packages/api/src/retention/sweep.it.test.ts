// A large installation's rows of a year, forgotten a little at a time: by index, whatever there is, and nothing that is referred to.
import { count, jobEvents, jobs, openDatabase, sql, type TenantTx, webhookDeliveries, webhooks } from "@xvault/db";
import { newId } from "@xvault/kernel";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ServiceWorld, startServices } from "../test/services.ts";
import { DAY } from "./ages.ts";
import { createSweeper, endedJobs, forgettable } from "./sweep.ts";
import { tieredWorld } from "./test/world.ts";

const OLD = 100_000;
const YOUNG = 20_000;

let world: ServiceWorld;
let kept: string;

beforeAll(async () => {
  world = await startServices();
  const tiers = await tieredWorld(world);
  const sourceId = await tiers.source();
  kept = await tiers.snapshot(sourceId, { days: 300, sequence: 1 });
  const { tenantId } = world;
  const fill = (n: number, days: number, state: string) => sql`
    insert into jobs (id, tenant_id, source_id, type, state, trigger, created_at, finished_at)
    select gen_random_uuid(), ${tenantId}, ${sourceId}, 'verify', ${state}, 'schedule',
      now() - make_interval(days => ${days}) - make_interval(secs => i), now() - make_interval(days => ${days})
    from generate_series(1, ${n}::int) i`;
  await world.db.withTenant(tenantId, async (tx) => {
    await tx.execute(fill(OLD, 120, "success"));
    await tx.execute(fill(YOUNG, 1, "failed"));
    await tx.execute(fill(3, 200, "running"));
    await tx.execute(sql`
      insert into job_events (tenant_id, job_id, attempt, step, level, message)
      select tenant_id, id, 1, 'read', 'info', 'x' from jobs where tenant_id = ${tenantId} and (type = 'backup' or hashtext(id::text) % 4 = 0)`);
  });
  // What has just been filled in, the planner learns at once.
  const owner = openDatabase({ appUrl: world.ownerUrl, systemUrl: world.ownerUrl }, { max: 1 });
  await owner.withSystem((tx) => tx.execute(sql`analyze`));
  await owner.close();
}, 300_000);
afterAll(async () => {
  await world?.stop();
});

describe("operational rows", () => {
  it("are found by index, and those that something refers to are found by index to be so", async () => {
    const before = new Date(Date.now() - 90 * DAY);
    const plans = await world.db.withTenant(world.tenantId, async (tx) => {
      const found = await endedJobs(tx, world.tenantId, before, null);
      const ids = found.slice(0, 500).map(({ id }) => id);
      const last = found.at(-1) ?? { at: before, id: newId() };
      return {
        first: await explain(tx, endedJobs(tx, world.tenantId, before, null)),
        onwards: await explain(tx, endedJobs(tx, world.tenantId, before, last)),
        referred: await explain(tx, forgettable(tx, world.tenantId, ids)),
      };
    });
    expect(plans.first).toMatch(/Index Scan using jobs_newest/);
    expect(plans.onwards).toMatch(/Index Scan using jobs_newest/);
    expect(plans.onwards).toMatch(/Index Cond: .*created_at >=/);
    for (const plan of [plans.first, plans.onwards, plans.referred]) expect(plan).not.toMatch(/Seq Scan on jobs/);
  });

  it("go step by step, but for those that are young, at work or referred to", async () => {
    const sweeper = createSweeper(world.deps);
    let steps = 1;
    while (await sweeper.step(world.tenantId)) steps += 1;
    expect(steps).toBe(OLD / 5000 + 1);
    const left = await world.db.withTenant(world.tenantId, (tx) =>
      tx.select({ type: jobs.type, state: jobs.state, n: count() }).from(jobs).groupBy(jobs.type, jobs.state),
    );
    expect(left.toSorted((a, b) => a.state.localeCompare(b.state))).toEqual([
      { type: "verify", state: "failed", n: YOUNG },
      { type: "verify", state: "running", n: 3 },
      { type: "backup", state: "success", n: 1 },
    ]);
    // Of the backup that made a snapshot only what was written about it is forgotten.
    const events = await world.db.withTenant(world.tenantId, (tx) =>
      tx.execute<{ n: number }>(sql`
        select count(*)::int as n from job_events e join jobs j on j.id = e.job_id where j.state = 'success'`),
    );
    expect(events[0]?.n).toBe(0);
    const some = await world.db.withTenant(world.tenantId, (tx) => tx.select({ n: count() }).from(jobEvents));
    expect(some[0]?.n).toBeGreaterThan(0);
    expect(kept).toBeDefined();
  }, 300_000);
});

describe("what was sent to webhooks", () => {
  it("goes by the same days, but for what is still to be sent", async () => {
    const { tenantId, deps } = world;
    const webhookId = newId();
    await world.db.withTenant(tenantId, async (tx) => {
      const hook = {
        id: webhookId,
        tenantId,
        name: "x",
        url: "https://x.test",
        events: [],
        sealed: "x",
        keyVersion: 1,
      };
      await tx.insert(webhooks).values(hook);
      const old = new Date(Date.now() - 120 * DAY);
      const sent = { tenantId, webhookId, event: "test", payload: {} };
      await tx.insert(webhookDeliveries).values([
        { ...sent, id: newId(), state: "delivered", createdAt: old },
        { ...sent, id: newId(), state: "failed", createdAt: old },
        { ...sent, id: newId(), state: "pending", createdAt: old },
        { ...sent, id: newId(), state: "delivered", createdAt: new Date() },
      ]);
    });
    await createSweeper(deps).step(tenantId);
    const left = await world.db.withTenant(tenantId, (tx) =>
      tx.select({ state: webhookDeliveries.state }).from(webhookDeliveries),
    );
    expect(left.map(({ state }) => state).toSorted()).toEqual(["delivered", "pending"]);
  });
});

async function explain(tx: TenantTx, query: { getSQL(): ReturnType<typeof sql> }): Promise<string> {
  const rows = await tx.execute<{ "QUERY PLAN": string }>(sql`explain ${query.getSQL()}`);
  return rows.map((row) => row["QUERY PLAN"]).join("\n");
}
