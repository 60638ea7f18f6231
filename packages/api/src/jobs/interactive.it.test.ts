import type { Manifest } from "@xvault/contracts";
import { and, eq, jobs, workers } from "@xvault/db";
import { newId, type TenantId } from "@xvault/kernel";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type ServiceWorld, startServices } from "../test/services.ts";
import { insertJob } from "./enqueue.ts";
import { ask } from "./interactive.ts";

const WORKER = {
  id: newId(),
  name: "w",
  publicKey: "x",
  certificate: {} as Manifest["certificate"],
  version: "0",
  capabilities: {},
  storageBasePath: "/nowhere",
  dataUrl: "http://127.0.0.1:9",
  concurrency: 1,
};

let world: ServiceWorld;
beforeAll(async () => {
  world = await startServices();
});
afterAll(() => world?.stop());

test("a workspace has a few questions open at once, so that it cannot take every worker's time", async () => {
  const { db, deps, tenantId, caller } = world;
  const requestedBy = caller.actor.userId;
  const question = { tenantId, type: "probe", params: { host: "h", port: 22 }, sourceId: null, requestedBy } as const;
  // Nobody waits for workers of which there are none.
  await expect(ask(deps, question)).rejects.toMatchObject({ code: "NO_WORKER" });
  expect(await db.withTenant(tenantId, (tx) => tx.select().from(jobs))).toEqual([]);
  await db.withSystem((tx) => tx.insert(workers).values(WORKER));
  const open = () =>
    db.withTenant(tenantId, (tx) => insertJob(tx, { ...question, trigger: "manual", now: new Date() }));
  for (let i = 0; i < 6; i++) await open();
  await expect(ask(deps, question)).rejects.toMatchObject({ code: "RATE_LIMITED" });
  const other = { ...question, tenantId: newId<TenantId>() };
  // Another workspace is not held up by this one's: what it meets is that it does not exist.
  await expect(ask(deps, other)).rejects.not.toMatchObject({ code: "RATE_LIMITED" });

  const endAll = () =>
    db.withTenant(tenantId, (tx) =>
      tx
        .update(jobs)
        .set({ state: "failed" })
        .where(and(eq(jobs.tenantId, tenantId), eq(jobs.state, "queued")))
        .returning(),
    );
  await endAll();
  const asked = ask(deps, question).catch((error: unknown) => error);
  await expect.poll(() => endAll(), { timeout: 10_000 }).toHaveLength(1);
  expect(await asked).toMatchObject({ code: "UNAVAILABLE" });
});
