import { once } from "node:events";
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { answers, available, freePort, type Running, start } from "../checks/processes.ts";

const CADDY = available("caddy", "version");

type Handler = (incoming: IncomingMessage, answer: ServerResponse) => void;

/** What a test wants the server behind the proxy to do with the next request. */
let handler: Handler;
const servers: Server[] = [];

async function behind(name: string): Promise<string> {
  const server = createServer((incoming, answer) => {
    answer.setHeader("x-behind", name);
    answer.setHeader("x-url", incoming.url ?? "");
    handler(incoming, answer);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  servers.push(server);
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe.skipIf(!CADDY)(`the proxy${CADDY ? "" : " (caddy is not installed)"}`, () => {
  let caddy: Running;
  let origin: string;

  beforeAll(async () => {
    const port = await freePort();
    origin = `http://127.0.0.1:${port}`;
    const env = {
      ...process.env,
      XVAULT_SITE: `:${port}`,
      XVAULT_PROXY_HEALTH_PORT: String(await freePort()),
      XVAULT_HUB: await behind("hub"),
      XVAULT_WORKER_1: await behind("worker-1"),
      XVAULT_WORKER_2: await behind("worker-2"),
    };
    handler = (_, answer) => answer.end();
    caddy = start("caddy", ["run", "--adapter", "caddyfile", "--config", join(import.meta.dirname, "Caddyfile")], {
      env,
    });
    await caddy.until(() => answers(origin));
  });

  afterAll(async () => {
    await caddy.stop();
    for (const server of servers) server.close().closeAllConnections();
  });

  it.each([
    ["/", "hub", "/"],
    ["/api/v1/jobs?limit=2", "hub", "/api/v1/jobs?limit=2"],
    ["/database", "hub", "/database"],
    ["/data/worker-1/t/abc", "worker-1", "/t/abc"],
    ["/data/worker-2/t/abc?x=1", "worker-2", "/t/abc?x=1"],
  ])("sends %s to %s", async (path, name, seen) => {
    handler = (_, answer) => answer.end("ok");
    const answer = await fetch(origin + path);
    expect([answer.status, answer.headers.get("x-behind"), answer.headers.get("x-url")]).toEqual([200, name, seen]);
  });

  it.each(["/data/worker-3/t/abc", "/data/", "/data/worker-1/../worker-9/x"])(
    "answers 404 to %s, a worker that is not there",
    async (path) => {
      handler = (_, answer) => answer.end("ok");
      const answer = await fetch(origin + path);
      expect([answer.status, answer.headers.get("x-behind")]).toEqual([404, null]);
    },
  );

  it("tells the hub the address of the client, and lets nobody forge it", async () => {
    let forwarded: unknown;
    handler = (incoming, answer) => {
      forwarded = incoming.headers["x-forwarded-for"];
      answer.end();
    };
    await fetch(origin, { headers: { "x-forwarded-for": "203.0.113.9" } });
    expect(forwarded).toBe("127.0.0.1");
  });

  it.each(["/api/events", "/data/worker-1/t/abc"])("passes an answer of %s on as it comes", async (path) => {
    let finish = () => {};
    handler = (_, answer) => {
      answer.write("first");
      finish = () => answer.end("second");
    };
    const answer = await fetch(origin + path);
    const reader = (answer.body as ReadableStream<Uint8Array>).getReader();
    // The server holds the second part back until the first has arrived here: a proxy that collects would wait forever.
    expect(Buffer.from((await reader.read()).value ?? []).toString()).toBe("first");
    finish();
    expect(Buffer.from((await reader.read()).value ?? []).toString()).toBe("second");
  });

  it("passes an upload to a worker on as it comes", async () => {
    const arrived: string[] = [];
    const heard = Promise.withResolvers<void>();
    handler = (incoming, answer) => {
      incoming.on("data", (part: Buffer) => {
        arrived.push(part.toString());
        heard.resolve();
      });
      incoming.on("end", () => answer.end(arrived.join("")));
    };
    const upload = request(`${origin}/data/worker-1/t/abc`, { method: "PUT" });
    upload.write("first");
    await heard.promise;
    expect(arrived).toEqual(["first"]);
    upload.end("second");
    const [answer] = (await once(upload, "response")) as [IncomingMessage];
    expect(Buffer.concat(await answer.toArray()).toString()).toBe("firstsecond");
  });

  it("answers 502 where a server behind it breaks off before it has answered", async () => {
    handler = (incoming) => incoming.socket.destroy();
    expect((await fetch(`${origin}/api/v1/jobs`)).status).toBe(502);
  });
});
