import { idempotencyKeys, sql } from "@xvault/db";
import { newId, type TenantId } from "@xvault/kernel";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type ServiceWorld, startServices } from "../test/services.ts";
import { createIdempotencyKeys, type HeldKey, type KeyedCall, sweepIdempotencyKeys } from "./service.ts";

let world: ServiceWorld;
let now = new Date("2026-11-28T12:00:00Z");
const clock = { now: () => now };
const later = (ms: number) => {
  now = new Date(now.getTime() + ms);
};
const MINUTE = 60_000;

beforeAll(async () => {
  world = await startServices();
});
afterAll(async () => world?.stop());

const keys = () => createIdempotencyKeys({ ...world.deps, clock });
const call = (change: Partial<KeyedCall> = {}): KeyedCall => ({
  tenantId: world.tenantId,
  callerId: newId(),
  key: "k",
  request: "POST /x {}",
  ...change,
});
const taken = async (one: KeyedCall): Promise<HeldKey> => {
  const held = await keys().take(one);
  if (!("keep" in held)) throw new Error("the call was answered");
  return held;
};

test("the first call is carried out, the same one again gets its answer, another one is refused", async () => {
  const first = call();
  const held = await taken(first);
  await expect(keys().take(first)).rejects.toMatchObject({ code: "CONFLICT", retry: true });
  const other = { ...first, request: "POST /y {}" };
  await expect(keys().take(other)).rejects.toMatchObject({ code: "IDEMPOTENCY_KEY_REUSED", status: 422 });
  await held.keep({ status: 200, body: { token: "xv_canary" } });
  expect(await keys().take(first)).toEqual({ status: 200, body: { token: "xv_canary" } });
  await expect(keys().take(other)).rejects.toMatchObject({ code: "IDEMPOTENCY_KEY_REUSED" });
  // Another caller's key of the same name is another key.
  await taken(call({ request: first.request }));
});

test("of many at once one is carried out", async () => {
  const one = call();
  const all = await Promise.allSettled(Array.from({ length: 8 }, () => keys().take(one)));
  expect(all.filter((outcome) => outcome.status === "fulfilled")).toHaveLength(1);
});

test("what came to nothing may be sent again", async () => {
  const one = call();
  await (await taken(one)).release();
  await (await taken(one)).keep({ status: 200, body: {} });
});

test("a call whose hub died holds its key for five minutes, and cannot answer for the one that came after it", async () => {
  const one = call();
  const dead = await taken(one);
  later(4 * MINUTE);
  await expect(keys().take(one)).rejects.toMatchObject({ code: "CONFLICT" });
  later(2 * MINUTE);
  const second = await taken(one);
  await dead.keep({ status: 200, body: "of the dead" });
  await dead.release();
  await second.keep({ status: 200, body: "of the second" });
  expect(await keys().take(one)).toMatchObject({ body: "of the second" });
});

test("neither answers nor what was asked lie in the database in clear, and after a day nothing does", async () => {
  const one = call({ request: "POST /credentials {password: canary-in}" });
  await (await taken(one)).keep({ status: 200, body: { token: "canary-out" } });
  const rows = () =>
    world.db.withSystem(async (tx) => [...(await tx.execute(sql`select k::text from ${idempotencyKeys} k`))]);
  const text = JSON.stringify(await rows());
  expect(text).toContain(one.callerId);
  expect(text).not.toMatch(/canary|[0-9a-f]{64}/);
  later(23 * 60 * MINUTE);
  await sweepIdempotencyKeys({ ...world.deps, clock });
  expect(await keys().take(one)).toMatchObject({ body: { token: "canary-out" } });
  later(2 * 60 * MINUTE);
  await (await taken(one)).release();
  await sweepIdempotencyKeys({ ...world.deps, clock });
  expect(await rows()).toEqual([]);
});

test("a workspace sees its own keys alone", async () => {
  const one = call();
  await taken(one);
  const foreign = { ...one, tenantId: newId<TenantId>() };
  await expect(keys().take(foreign)).rejects.toMatchObject({ code: "TENANT_SHREDDED" });
});
