import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, it } from "vitest";
import { createHubClient } from "./hub-client.ts";

it("sends no NUL that a name or message of somebody's server holds: the hub's database refuses it, and the lease would run out", async () => {
  const bodies: string[] = [];
  const hub = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    bodies.push(Buffer.concat(chunks).toString());
    response.setHeader("content-type", "application/json").end('{"cancel":false}');
  }).listen(0, "127.0.0.1");
  await once(hub, "listening");
  try {
    const client = createHubClient(`http://127.0.0.1:${(hub.address() as AddressInfo).port}`);
    const event = { at: new Date().toISOString(), step: "pull", level: "warning", message: "a\0b: ü" } as const;
    await client.call("heartbeat", {
      job_id: "01a1f8f9-0b0b-768a-9326-21f17a246f8c",
      attempt: 1,
      progress: null,
      events: [event],
    });
    expect(JSON.parse(bodies[0] ?? "")).toMatchObject({ events: [{ message: "a\uFFFDb: ü" }] });
  } finally {
    hub.close();
  }
});

it("gives a job's place free when the hub never gets over its own defect, but waits for one that is away", async () => {
  const fault = { code: "INTERNAL", message: "m", fix: "f", retry: false };
  const away = { code: "UNAVAILABLE", message: "m", fix: "f", retry: true };
  let answers: object[] = [];
  let asked = 0;
  const hub = createServer((request, response) => {
    request.resume();
    asked += 1;
    const body = answers.shift() ?? fault;
    response.writeHead("code" in body ? 500 : 200, { "content-type": "application/json" }).end(JSON.stringify(body));
  }).listen(0, "127.0.0.1");
  await once(hub, "listening");
  try {
    const client = createHubClient(`http://127.0.0.1:${(hub.address() as AddressInfo).port}`, { firstWaitMs: 1 });
    const ask = () => client.insist("lease", { job_id: "01a1f8f9-0b0b-768a-9326-21f17a246f8c" });
    await expect(ask()).rejects.toMatchObject({ code: "INTERNAL" });
    expect(asked).toBe(9);
    answers = [fault, ...Array.from({ length: 10 }, () => away), fault, { granted: false }];
    expect(await ask()).toEqual({ granted: false });
  } finally {
    hub.close();
  }
});
