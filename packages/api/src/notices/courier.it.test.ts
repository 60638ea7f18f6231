// What is told to webhooks, how it is signed and how often it is tried; a real PostgreSQL and real receivers on loopback.
import { eventPayloadSchema } from "@xvault/contracts";
import { eq, sql, webhookDeliveries, webhooks } from "@xvault/db";
import { newId, type TenantId } from "@xvault/kernel";
import { createLogger } from "@xvault/platform";
import { createHmac } from "node:crypto";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createTenant } from "../accounts/tenant-keys.ts";
import type { Caller } from "../context.ts";
import { type ServiceWorld, startServices } from "../test/services.ts";
import { createCourier } from "./courier.ts";
import { emitEvent } from "./events.ts";
import { noticeGround } from "./test/ground.ts";
import { type Received, type Receiver, startReceiver } from "./test/receiver.ts";

let world: ServiceWorld;
let ground: ReturnType<typeof noticeGround>;
let receiver: Receiver;
beforeAll(async () => {
  world = await startServices();
  ground = noticeGround(world);
});
afterAll(() => world?.stop());
beforeEach(async () => {
  receiver = await startReceiver();
});
afterEach(async () => {
  await receiver.close();
  for (const { id } of await ground.webhooks.list(world.caller)) await ground.webhooks.remove(world.caller, id);
});

const addWebhook = (events: ("backup.succeeded" | "backup.failed" | "alert.opened" | "alert.resolved")[]) =>
  ground.webhooks.create(world.caller, { name: "hook", url: receiver.url, events });

/** Another workspace of the same installation. */
async function otherWorkspace() {
  const { db, deps, caller } = world;
  const tenantId = newId<TenantId>();
  const owner = { id: caller.actor.userId, email: caller.actor.email };
  await db.withSystem((tx) =>
    createTenant(tx, { id: tenantId, name: "n", keyMode: "platform", owner, requestId: null }, deps),
  );
  const workspace = { ...caller.actor.workspace, id: tenantId };
  const theirs: Caller = { ...caller, actor: { ...caller.actor, workspace } };
  return {
    /** Something happens there that a webhook of theirs wants to hear of. */
    async hear(url: string): Promise<void> {
      await ground.webhooks.create(theirs, { name: "n", url, events: ["backup.succeeded"] });
      const subject = { kind: "source", id: newId() };
      await db.withTenant(tenantId, (tx) => emitEvent(tx, tenantId, "backup.succeeded", subject));
    },
  };
}

/** Checks a request as a receiver would that knows nothing but the documentation. */
function isGenuine(secret: string, { headers, body }: Received): boolean {
  const [, t = "", v1 = ""] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(headers["x-xvault-signature"])) ?? [];
  const fresh = Math.abs(Date.now() / 1000 - Number(t)) < 300 && headers["x-xvault-timestamp"] === t;
  return fresh && createHmac("sha256", secret).update(`${t}.${body}`).digest("hex") === v1;
}

describe("an event", () => {
  it("goes to every webhook that wants it, and to no other", async () => {
    const { webhook } = await addWebhook(["backup.succeeded"]);
    const other = await addWebhook(["backup.failed"]);
    const off = await addWebhook(["backup.succeeded"]);
    await ground.webhooks.update(world.caller, { id: off.webhook.id, enabled: false });
    await ground.happen();
    expect(await ground.courier.deliverDue()).toBe(1);
    expect(receiver.received).toHaveLength(1);
    const logs = await Promise.all([webhook, other.webhook, off.webhook].map(({ id }) => ground.log(id)));
    expect(logs.map((log) => log.map(({ state, attempts }) => [state, attempts]))).toEqual([
      [["delivered", 1]],
      [],
      [],
    ]);
  });

  it("arrives signed, with the names and ids that the documentation promises", async () => {
    const { secret, webhook } = await addWebhook(["backup.succeeded"]);
    await ground.happen();
    await ground.courier.deliverDue();
    const [request] = receiver.received;
    const [row] = await ground.log(webhook.id);
    if (!request || !row) throw new Error("nothing arrived");
    expect(isGenuine(secret, request)).toBe(true);
    expect(isGenuine(`${secret}x`, request)).toBe(false);
    expect(isGenuine(secret, { ...request, body: request.body.replace("web-01", "web-02") })).toBe(false);
    expect(request.headers).toMatchObject({
      "x-xvault-event": "backup.succeeded",
      "x-xvault-delivery": row.id,
      "content-type": "application/json",
    });
    const payload = eventPayloadSchema.parse(JSON.parse(request.body));
    expect(payload).toMatchObject({ event: "backup.succeeded", workspace_id: world.tenantId });
    expect(payload.data).toEqual({ source_name: "web-01" });
    expect(row).toMatchObject({ statusCode: 200, error: null });
  });

  it("is told of only where what it tells of has happened", async () => {
    const { webhook } = await addWebhook(["backup.succeeded"]);
    const broken = world.db.withTenant(world.tenantId, async (tx) => {
      await emitEvent(tx, world.tenantId, "backup.succeeded", { kind: "source", id: webhook.id });
      throw new Error("it did not happen");
    });
    await expect(broken).rejects.toThrow("it did not happen");
    expect(await ground.log(webhook.id)).toEqual([]);
  });

  it("is sent once, however many hubs look for it", async () => {
    await addWebhook(["backup.succeeded"]);
    for (let n = 0; n < 3; n++) await ground.happen();
    const others = [1, 2, 3].map(() => noticeGround(world).courier);
    const taken = await Promise.all([ground.courier, ...others].map((courier) => courier.deliverDue()));
    expect(receiver.received).toHaveLength(3);
    expect(taken.reduce((sum, n) => sum + n, 0)).toBeGreaterThanOrEqual(3);
    expect(new Set(receiver.received.map(({ headers }) => headers["x-xvault-delivery"])).size).toBe(3);
  });
});

describe("a receiver that fails", () => {
  it("is tried three times with the same event, then never again", async () => {
    receiver.answer = (response) => void response.writeHead(503).end("do not tell anybody");
    const { secret, webhook } = await addWebhook(["backup.succeeded"]);
    await ground.happen();
    for (let round = 0; round < 5; round++) await ground.courier.deliverDue();
    expect(receiver.received).toHaveLength(3);
    expect(receiver.received.every((request) => isGenuine(secret, request))).toBe(true);
    expect(new Set(receiver.received.map(({ headers }) => headers["x-xvault-delivery"])).size).toBe(1);
    expect(new Set(receiver.received.map(({ body }) => body)).size).toBe(1);
    const { items } = await ground.webhooks.deliveries(world.caller, { id: webhook.id, limit: 10 });
    expect(items).toMatchObject([{ state: "failed", attempts: 3, status_code: 503, next_attempt_at: null }]);
    expect(items[0]?.error).toBe("The receiver answered with status 503.");
    expect(JSON.stringify(items)).not.toContain("do not tell anybody");
  });

  it("and then takes it, is not tried again", async () => {
    receiver.answer = (response) => void response.writeHead(receiver.received.length < 2 ? 500 : 204).end();
    const { webhook } = await addWebhook(["backup.succeeded"]);
    await ground.happen();
    for (let round = 0; round < 4; round++) await ground.courier.deliverDue();
    expect(receiver.received).toHaveLength(2);
    expect(await ground.log(webhook.id)).toMatchObject([{ state: "delivered", attempts: 2, statusCode: 204 }]);
  });

  it("is left alone until the wait is over", async () => {
    const patient = noticeGround(world, [3_600_000, 3_600_000]);
    receiver.answer = (response) => void response.writeHead(500).end();
    const { webhook } = await addWebhook(["backup.succeeded"]);
    await ground.happen();
    expect(await patient.courier.deliverDue()).toBe(1);
    expect(await patient.courier.deliverDue()).toBe(0);
    const [row] = await ground.log(webhook.id);
    expect(row).toMatchObject({ state: "pending", attempts: 1 });
    expect(row?.nextAttemptAt.getTime()).toBeGreaterThan(Date.now() + 3_000_000);
  });

  it("opens one alert after three events that it did not take, which ends when it takes one", async () => {
    receiver.answer = (response) => void response.writeHead(500).end();
    const { webhook } = await addWebhook(["backup.succeeded", "alert.opened", "alert.resolved"]);
    const open = async () =>
      (await ground.alerts.list(world.caller, { state: "open", limit: 50 })).items.filter(
        ({ subject }) => subject.id === webhook.id,
      );
    const drain = async () => {
      while ((await ground.courier.deliverDue()) > 0);
    };
    for (let n = 0; n < 2; n++) await ground.happen();
    await drain();
    expect(await open()).toEqual([]);
    for (let n = 0; n < 3; n++) await ground.happen();
    await drain();
    const [alert, ...more] = await open();
    expect(more).toEqual([]);
    expect(alert).toMatchObject({ kind: "webhook_failing", subject_name: "hook" });
    // The alert itself was an event that did not arrive: it is counted, and opens no other.
    expect(alert?.seen).toBeGreaterThan(1);

    receiver.answer = (response) => void response.writeHead(200).end();
    await ground.happen();
    await drain();
    expect(await open()).toEqual([]);
    expect(receiver.received.map(({ headers }) => headers["x-xvault-event"])).toContain("alert.resolved");
  });

  it("that a hub died of in its last try is told so, and not sent to a fourth time", async () => {
    const { webhook } = await addWebhook(["backup.succeeded"]);
    await ground.happen();
    await world.db.withTenant(world.tenantId, (tx) =>
      tx.update(webhookDeliveries).set({ attempts: 3 }).where(eq(webhookDeliveries.webhookId, webhook.id)),
    );
    await ground.courier.deliverDue();
    expect(receiver.received).toEqual([]);
    expect(await ground.log(webhook.id)).toMatchObject([
      { state: "failed", attempts: 3, error: "The hub ended while it was sending this." },
    ]);
  });

  it("that never answers holds up its own workspace alone, and there only a few at a time", async () => {
    const neighbour = await otherWorkspace();
    const held: (() => void)[] = [];
    receiver.answer = (response) => void held.push(() => response.writeHead(200).end());
    await addWebhook(["backup.succeeded"]);
    for (let n = 0; n < 9; n++) await ground.happen();
    const first = ground.courier.deliverDue();
    await expect.poll(() => held.length, { timeout: 20_000 }).toBe(4);
    // A neighbour's comes first although it waits for the shortest time.
    const theirs = await startReceiver();
    await neighbour.hear(theirs.url);
    expect(await ground.courier.deliverDue()).toBe(1);
    expect(theirs.received).toHaveLength(1);
    await theirs.close();
    // What is under way counts: a second look takes nothing of this workspace.
    expect(await ground.courier.deliverDue()).toBe(0);
    held.splice(0).forEach((answer) => answer());
    expect(await first).toBe(4);
    receiver.answer = (response) => void response.writeHead(200).end();
    while ((await ground.courier.deliverDue()) > 0);
    expect(receiver.received).toHaveLength(9);
  });

  it("was switched off meanwhile: what waited for it ends unsent", async () => {
    const { webhook } = await addWebhook(["backup.succeeded"]);
    await ground.happen();
    await ground.webhooks.update(world.caller, { id: webhook.id, enabled: false });
    await ground.courier.deliverDue();
    expect(receiver.received).toEqual([]);
    expect(await ground.log(webhook.id)).toMatchObject([{ state: "failed", error: "The webhook was switched off." }]);
  });
});

describe("the secret", () => {
  it("is in one answer, and in no row, log or other answer in the clear (promise 42)", async () => {
    const lines: string[] = [];
    const log = createLogger({ name: "test", level: "trace", destination: { write: (line) => void lines.push(line) } });
    const courier = createCourier({ ...world.deps, log }, { policy: { allow: () => true }, waitsMs: [0, 0] });
    receiver.answer = (response) => void response.writeHead(500).end();
    const { secret, webhook } = await addWebhook(["backup.succeeded"]);
    expect(secret).toMatch(/^xvwh_[A-Za-z0-9_-]{40,}$/);
    await ground.happen();
    while ((await courier.deliverDue()) > 0);
    await ground.webhooks.update(world.caller, { id: webhook.id, name: "renamed" });
    const rows = await world.db.withTenant(world.tenantId, async (tx) => [
      await tx.select().from(webhooks),
      await tx.select().from(webhookDeliveries),
      await tx.execute(sql`select * from audit_log`),
    ]);
    const answers = [
      await ground.webhooks.list(world.caller),
      await ground.webhooks.deliveries(world.caller, { id: webhook.id, limit: 50 }),
    ];
    expect(lines.join("")).toContain("a webhook took no delivery");
    for (const [where, text] of Object.entries({ log: lines, rows, answers })) {
      expect(JSON.stringify(text), where).not.toContain(secret.slice(5));
    }
    // Nor is the address logged, whose path may be a secret of the receiver's.
    expect(lines.join("")).not.toContain(receiver.url);
  });

  it("signs nothing more once it was changed", async () => {
    const before = await addWebhook(["backup.succeeded"]);
    const after = await ground.webhooks.rotateSecret(world.caller, before.webhook.id);
    expect(after.secret).not.toBe(before.secret);
    await ground.happen();
    await ground.courier.deliverDue();
    const [request] = receiver.received;
    if (!request) throw new Error("nothing arrived");
    expect([isGenuine(before.secret, request), isGenuine(after.secret, request)]).toEqual([false, true]);
  });

  it("opens at its own webhook alone: moved to another row it signs nothing (promise 4)", async () => {
    const mine = await addWebhook(["backup.succeeded"]);
    const stolen = await addWebhook(["backup.failed"]);
    await world.db.withTenant(world.tenantId, async (tx) => {
      const [row] = await tx.select().from(webhooks).where(eq(webhooks.id, stolen.webhook.id));
      await tx
        .update(webhooks)
        .set({ sealed: row?.sealed ?? "" })
        .where(eq(webhooks.id, mine.webhook.id));
    });
    await ground.happen();
    await ground.courier.deliverDue();
    expect(receiver.received).toEqual([]);
    expect(await ground.log(mine.webhook.id)).toMatchObject([{ state: "failed", attempts: 0 }]);
  });
});
