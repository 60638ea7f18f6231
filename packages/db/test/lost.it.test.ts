// What a transaction does when its connection is lost, or when its work goes on after its end: nothing of it may run anywhere else.
// (Regressions of porsager/postgres 1155 and 1208: a lost connection ended the process, late statements ran in another's transaction.)
import { newId } from "@xvault/kernel";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import * as db from "../src/index.ts";
import { twoWorkspaces } from "./world.ts";

let world: Awaited<ReturnType<typeof twoWorkspaces>>;
let single: db.Database;
const uncaught: unknown[] = [];
const note = (error: unknown) => uncaught.push(error);

beforeAll(async () => {
  world = await twoWorkspaces();
  single = db.openDatabase(world.ownerUrl, { max: 1 });
  process.on("uncaughtException", note);
});
afterEach(async () => {
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  if (uncaught.length > 0) throw new Error("something would have ended the process", { cause: uncaught });
});
afterAll(async () => {
  process.off("uncaughtException", note);
  await Promise.all([single.close(), world.db.close(), world.owner.close(), world.app.end()]);
  await world.drop();
});

const pidOf = async (tx: db.TenantTx) => Number((await tx.execute(db.sql`select pg_backend_pid() as pid`))[0]?.["pid"]);
const kill = (pid: number) =>
  world.owner.withSystem((tx) => tx.execute(db.sql`select pg_terminate_backend(${pid}, 10000)`));
const names = async () => {
  const rows = await world.db.withTenant(world.a.id, (tx) => tx.select({ name: db.sources.name }).from(db.sources));
  return rows.map(({ name }) => name);
};
const rename = (tx: db.TenantTx, name: string) => tx.update(db.sources).set({ name });

describe("a lost connection", () => {
  it("fails the statement that was under way, and the next transaction has a good one", async () => {
    const sleeping = single.withTenant(world.a.id, async (tx) => {
      await rename(tx, "lost");
      const pid = await pidOf(tx);
      setTimeout(() => void kill(pid), 50);
      await tx.execute(db.sql`select pg_sleep(60)`);
    });
    await expect(sleeping).rejects.toMatchObject({ code: "UNAVAILABLE", retry: true });
    expect(await names()).not.toContain("lost");
    expect(await single.withTenant(world.a.id, pidOf)).toBeGreaterThan(0);
  });

  it("fails every later statement of the transaction, which never runs elsewhere", async () => {
    let later: unknown;
    const broken = single.withTenant(world.a.id, async (tx) => {
      await kill(await pidOf(tx));
      later = await rename(tx, "elsewhere").catch((error: unknown) => error);
      await rename(tx, "elsewhere again");
    });
    await expect(broken).rejects.toMatchObject({ code: "UNAVAILABLE" });
    expect(later).toBeInstanceOf(Error);
    expect(await names()).not.toContain("elsewhere");
    expect(await names()).not.toContain("elsewhere again");
  });

  it("keeps the work's own error", async () => {
    const thrown = new Error("mine");
    const broken = single.withTenant(world.a.id, async (tx) => {
      await kill(await pidOf(tx));
      throw thrown;
    });
    await expect(broken).rejects.toBe(thrown);
  });

  it("while idle is noticed by nobody", async () => {
    const before = await single.withTenant(world.a.id, pidOf);
    await kill(before);
    await vi.waitFor(async () => expect(await single.withTenant(world.a.id, pidOf)).not.toBe(before), {
      timeout: 20_000,
    });
  });

  it("lets those who wait for a connection have another", async () => {
    const first = single.withTenant(world.a.id, async (tx) => kill(await pidOf(tx)));
    const others = Array.from({ length: 5 }, () => single.withTenant(world.a.id, pidOf));
    await expect(first).rejects.toMatchObject({ code: "UNAVAILABLE" });
    expect((await Promise.all(others)).every((pid) => pid > 0)).toBe(true);
  });

  it("for notices is renewed", async () => {
    const heard: string[] = [];
    const stop = await single.listen("renewed", (payload) => heard.push(payload));
    await single.notify("renewed", "before");
    await vi.waitFor(() => expect(heard).toContain("before"), { timeout: 20_000 });
    await world.owner.withSystem((tx) =>
      tx.execute(db.sql`select pg_terminate_backend(pid, 10000) from pg_stat_activity
        where application_name = 'xvault notices' and datname = current_database()`),
    );
    await vi.waitFor(
      async () => {
        await single.notify("renewed", "after");
        expect(heard).toContain("after");
      },
      { timeout: 20_000, interval: 100 },
    );
    await stop();
  });
});

describe("a transaction", () => {
  it("is over when its work is: a late statement is refused and runs nowhere", async () => {
    let kept: db.TenantTx | undefined;
    await single.withTenant(world.a.id, async (tx) => {
      kept = tx;
      await rename(tx, "in time");
    });
    const late = kept;
    if (!late) throw new Error("no transaction was kept");
    await expect(rename(late, "late")).rejects.toThrow();
    // Not even inside the transaction of another workspace that has the connection now.
    await single.withTenant(world.b.id, async () => {
      await expect(rename(late, "late")).rejects.toThrow();
    });
    expect(await names()).toEqual(["in time"]);
  });

  it("rolls back when a statement was refused, even where the work went on", async () => {
    const swallowed = single.withTenant(world.a.id, async (tx) => {
      await rename(tx, "before the refusal");
      await tx.execute(db.sql`select 1 / 0`).catch(() => {});
      return "went on";
    });
    await expect(swallowed).rejects.toMatchObject({ code: "22012" });
    expect(await names()).toEqual(["in time"]);
  });

  it("waits for a free connection, and is refused once the database is closed", async () => {
    const narrow = db.openDatabase(world.ownerUrl, { max: 1 });
    const gate = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    const held = narrow.withTenant(world.a.id, () => {
      begun.resolve();
      return gate.promise;
    });
    await begun.promise;
    const waits = narrow.withTenant(world.a.id, pidOf);
    const closing = narrow.close();
    await expect(waits).rejects.toMatchObject({ code: "UNAVAILABLE" });
    gate.resolve();
    await held;
    await closing;
    await expect(narrow.withTenant(world.a.id, pidOf)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    await expect(narrow.withSystem(async (tx) => tx.insert(db.rateLimits).values({ key: newId() }))).rejects.toThrow();
  });
});
