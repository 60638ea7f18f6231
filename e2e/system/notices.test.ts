// What a workspace's webhooks are told of in a whole installation, and where they may not lead (promises 37 and 42).
import { join } from "node:path";
import type { Alert, AuditEntry, Delivery, Job, Webhook } from "@xvault/contracts";
import { type Sshd, sshdAvailable, startSshd } from "@xvault/test-kit/ssh";
import {
  addSource,
  allRows,
  backUp,
  findSecrets,
  type Stack,
  startStack,
  type Tenant,
  until,
} from "@xvault/test-kit/stack";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Arrival, type Receiver, startReceiver } from "./receiver.ts";
import { makeTree } from "./trees.ts";

const missing = sshdAvailable();
const EVENTS = ["backup.started", "backup.succeeded", "backup.failed", "alert.opened", "alert.resolved"];

describe.skipIf(missing !== null)(`alerts and webhooks${missing === null ? "" : ` (${missing})`}`, () => {
  let stack: Stack;
  let sshd: Sshd;
  let tenant: Tenant;
  let receiver: Receiver;
  let made: { secret: string; webhook: Webhook };

  beforeAll(async () => {
    // The operator lets webhooks reach this one address.
    const env = { hub: { XVAULT_ALLOWED_RANGES: "127.0.0.1/32" } };
    [stack, sshd, receiver] = await Promise.all([
      startStack({ queue: "postgres", workers: 1, env }),
      startSshd(),
      startReceiver(),
    ]);
    makeTree(join(sshd.home, "tree"));
    tenant = await stack.signUp();
    made = await tenant.api.post("/webhooks", { name: "on call", url: receiver.url, events: EVENTS });
  });
  afterAll(async () => {
    await receiver?.close();
    await sshd?.stop();
    await stack?.stop();
  });

  const arrival = (event: string, subjectId: string): Promise<Arrival> =>
    until(
      async () => receiver.arrived.find((one) => one.event === event && one.payload.subject.id === subjectId) ?? null,
    );

  it("a backup that succeeds and one that fails arrive signed, the failure with an alert", async () => {
    const good = await addSource(tenant, sshd, { paths: [join(sshd.home, "tree")], name: "good" });
    const bad = await addSource(tenant, sshd, { paths: [join(sshd.home, "gone")], name: "bad" });
    const [success, failure] = await Promise.all([
      backUp(tenant, good),
      tenant.api.ended(await tenant.api.post<Job>(`/sources/${bad.id}/backup`)),
    ]);
    expect(failure.state).toBe("failed");
    const told = await Promise.all([
      arrival("backup.started", success.id),
      arrival("backup.succeeded", success.id),
      arrival("backup.failed", failure.id),
    ]);
    expect(told[1]?.payload.data).toMatchObject({ source_name: "good", snapshot_id: success.snapshot_id });
    expect(told[2]?.payload.data).toMatchObject({ source_name: "bad", error: { code: failure.error?.code } });
    const { items } = await tenant.api.get<{ items: Alert[] }>("/alerts");
    expect(items).toMatchObject([
      { kind: "backup_failed", subject: { kind: "source", id: bad.id }, subject_name: "bad" },
    ]);
    await arrival("alert.opened", items[0]?.id ?? "");
    await tenant.api.post(`/alerts/${items[0]?.id}/resolve`, { note: "It was a test." });
    await arrival("alert.resolved", items[0]?.id ?? "");
    expect(receiver.arrived.every((one) => one.isGenuine(made.secret))).toBe(true);
    expect(receiver.arrived.some((one) => one.isGenuine(`${made.secret}x`))).toBe(false);
  });

  it("a test says at once whether it arrived; a delivery is sent again on request; all of it is audited", async () => {
    const path = `/webhooks/${made.webhook.id}`;
    expect(await tenant.api.post<Delivery>(`${path}/test`)).toMatchObject({ state: "delivered", status_code: 200 });
    receiver.status = 500;
    const failed = await tenant.api.post<Delivery>(`${path}/test`);
    expect(failed).toMatchObject({ state: "failed", attempts: 1, error: "The receiver answered with status 500." });
    receiver.status = 200;
    const again = await tenant.api.post<Delivery>(`/deliveries/${failed.id}/redeliver`);
    const log = () => tenant.api.get<{ items: Delivery[] }>(`${path}/deliveries?state=delivered`);
    await until(async () => (await log()).items.find(({ id }) => id === again.id) ?? null);
    // The same event by its id, another delivery by its own.
    expect(again.payload.id).toBe(failed.payload.id);
    const changed = await tenant.api.post<{ secret: string }>(`${path}/rotate-secret`);
    await tenant.api.post(`${path}/test`);
    expect(receiver.arrived.at(-1)?.isGenuine(changed.secret)).toBe(true);
    const { items } = await tenant.api.get<{ items: AuditEntry[] }>("/audit?limit=200");
    const actions = items.map(({ action }) => action);
    for (const action of ["webhook.created", "webhook.tested", "webhook.redelivered", "webhook.secret_rotated"]) {
      expect(actions).toContain(action);
    }
    const secrets = { first: made.secret, second: changed.secret };
    expect(findSecrets(await allRows(stack.databases.main), secrets)).toEqual([]);
    expect(findSecrets(stack.hub.log(), secrets)).toEqual([]);
  });

  it("a webhook does not lead inside, however its address is written, but where the operator allows it (promise 37)", async () => {
    const { port } = receiver;
    const hosts = [
      "127.0.0.2",
      "localhost.localdomain",
      "[::1]",
      "10.0.0.1",
      "169.254.169.254",
      "0.0.0.0",
      "0x7f000002",
    ];
    const before = receiver.arrived.length;
    for (const host of hosts) {
      await tenant.api.patch(`/webhooks/${made.webhook.id}`, { url: `http://${host}:${port}/` });
      const sent = await tenant.api.post<Delivery>(`/webhooks/${made.webhook.id}/test`);
      expect({ host, state: sent.state, status: sent.status_code }).toEqual({ host, state: "failed", status: null });
    }
    expect(receiver.arrived).toHaveLength(before);
    await tenant.api.patch(`/webhooks/${made.webhook.id}`, { url: `http://0x7f000001:${port}/` });
    expect(await tenant.api.post(`/webhooks/${made.webhook.id}/test`)).toMatchObject({ state: "delivered" });
  });

  it("who may only look sees no key of a receiver and changes nothing; a token wants the scope", async () => {
    const { token } = await tenant.web.mutate<{ token: string }>("tokens.create", {
      name: "reads",
      scopes: ["notices:read"],
    });
    const asked = (method: string, path: string) =>
      fetch(`${stack.url}/api/v1${path}`, { method, headers: { authorization: `Bearer ${token}` } });
    await tenant.api.patch(`/webhooks/${made.webhook.id}`, { url: new URL("/the/key", receiver.url).href });
    const seen = await asked("GET", "/webhooks");
    expect(seen.status).toBe(200);
    // The path is where receivers have their keys: whoever cannot change it does not need it.
    const urls = async (answer: Response) =>
      ((await answer.json()) as { items: Webhook[] }).items.map(({ url }) => new URL(url));
    for (const url of await urls(seen)) expect([url.pathname, url.search]).toEqual(["/", ""]);
    const whole = await tenant.api.get<{ items: Webhook[] }>("/webhooks");
    expect(whole.items.some(({ url }) => new URL(url).pathname !== "/")).toBe(true);
    expect((await asked("POST", `/webhooks/${made.webhook.id}/test`)).status).toBe(403);
  });
});
