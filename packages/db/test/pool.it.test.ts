// Promise 10: the pool never carries one workspace's setting to the next.
import type { TenantId } from "@xvault/kernel";
import { afterAll, beforeAll, expect, it } from "vitest";
import * as db from "../src/index.ts";
import { makeWorkspace, twoWorkspaces, type Workspace } from "./world.ts";

const RUNS = 10_000;
const AT_ONCE = 16;

let world: Awaited<ReturnType<typeof twoWorkspaces>>;
let narrow: db.Database;
let workspaces: Workspace[];

beforeAll(async () => {
  world = await twoWorkspaces();
  workspaces = [world.a, world.b, await makeWorkspace(world.db, "c")];
  narrow = db.openDatabase(world.ownerUrl, { max: 2 });
});
afterAll(async () => {
  await Promise.all([narrow.close(), world.db.close(), world.owner.close(), world.app.end()]);
  await world.drop();
});

const look = db.sql`select nullif(current_setting('app.tenant', true), '') as setting, pg_backend_pid() as pid,
  (select string_agg(id::text, ',') from tenants) as visible`;

class Abort extends Error {}

it(
  "shows each of 10,000 interleaved transactions its own workspace, and the connection nothing afterwards",
  { timeout: 300_000 },
  async () => {
    const connections = new Set<unknown>();
    const ends = { committed: 0, thrown: 0, refused: 0 };
    let next = 0;

    async function one(run: number, tenantId: TenantId): Promise<void> {
      const kind = run % 7;
      try {
        await narrow.withTenant(tenantId, async (tx) => {
          const [seen] = await tx.execute(look);
          if (seen?.["setting"] !== tenantId || seen["visible"] !== tenantId)
            throw new Error(`run ${run} saw ${JSON.stringify(seen)}`);
          connections.add(seen["pid"]);
          if (kind === 1) throw new Abort();
          if (kind === 2) await tx.execute(db.sql`select 1 / 0`);
          if (kind === 3) {
            // The next one to get this connection would find it so: the transaction is over, the setting must be.
            await tx.execute(db.sql.raw(run % 2 === 0 ? "commit" : "rollback"));
            const [left] = await tx.execute(look);
            if (left?.["setting"] !== null || left["visible"] !== null)
              throw new Error(`run ${run} left ${JSON.stringify(left)}`);
          }
        });
        ends.committed += 1;
      } catch (error) {
        if (error instanceof Abort) ends.thrown += 1;
        else if (error instanceof db.DatabaseError && error.code === "22012") ends.refused += 1;
        else throw error;
      }
    }

    await Promise.all(
      Array.from({ length: AT_ONCE }, async () => {
        while (next < RUNS) {
          const run = next++;
          const workspace = workspaces[(run * 2_654_435_761) % workspaces.length];
          if (workspace) await one(run, workspace.id);
        }
      }),
    );
    expect(connections.size).toBe(2);
    expect(ends).toEqual({ committed: 7142, thrown: 1429, refused: 1429 });
  },
);

it("would notice a setting that stays", async () => {
  const workspace = world.a.id;
  const left = await narrow.withTenant(workspace, async (tx) => {
    await tx.execute(db.sql`select set_config('app.tenant', ${workspace}, false)`);
    await tx.execute(db.sql.raw("commit and chain"));
    const [row] = await tx.execute(look);
    await tx.execute(db.sql`select set_config('app.tenant', '', false)`);
    return row;
  });
  expect(left).toMatchObject({ setting: workspace, visible: workspace });
});
