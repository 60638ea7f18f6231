import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { parseTar } from "@xvault/archive";
import { afterEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { at, createHubClient } from "./client.ts";
import { hubApi, pagesOf } from "./api.ts";
import { downloadTar, readTree } from "./worker-data.ts";

let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

async function answering(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
  server = createServer(answer);
  await new Promise<void>((resolve) => server?.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const problem = {
  type: "urn:xvault:error:SOURCE_PAUSED",
  title: "t",
  status: 409,
  detail: "d",
  code: "SOURCE_PAUSED",
  message: "The source is paused.",
  fix: "Resume it first.",
  retry: false,
  request_id: "req-7",
};
const anything = z.object({ fine: z.boolean() });

describe("the hub's client", () => {
  it("sends the token and the input where the API wants them, and parses the answer", async () => {
    const seen: IncomingMessage[] = [];
    const url = await answering((request, response) => {
      seen.push(request);
      response.end('{"fine":true}');
    });
    const hub = createHubClient(url, "xv_token");
    const query = { limit: 5, cursor: undefined, source_id: "a b" };
    expect(await hub.send({ method: "GET", path: at`/sources/${"a/b?c"}`, query, answer: anything })).toEqual({
      fine: true,
    });
    expect(seen[0]?.url).toBe("/api/v1/sources/a%2Fb%3Fc?limit=5&source_id=a+b");
    expect(seen[0]?.headers.authorization).toBe("Bearer xv_token");
  });

  it("passes on what the hub refuses, request id included", async () => {
    const url = await answering((_, response) =>
      response.writeHead(409, { "content-type": "application/problem+json" }).end(JSON.stringify(problem)),
    );
    await expect(hubApi(createHubClient(url, "t")).me()).rejects.toMatchObject({
      code: "SOURCE_PAUSED",
      message: "The source is paused.",
      fix: "Resume it first.",
      data: { request_id: "req-7" },
    });
  });

  it("never takes another server's page for an answer", async () => {
    const url = await answering((request, response) =>
      response.writeHead(request.url?.includes("me") ? 502 : 200).end("<h1>nginx</h1>"),
    );
    const api = hubApi(createHubClient(url, "t"));
    await expect(api.me()).rejects.toMatchObject({
      code: "UNAVAILABLE",
      message: expect.stringContaining("not an xVault hub"),
    });
    await expect(api.keys()).rejects.toMatchObject({
      code: "UNAVAILABLE",
      message: expect.stringContaining("not an xVault hub"),
    });
  });

  it("does not follow a redirect with its token, but tells where it leads", async () => {
    let asked = 0;
    const url = await answering((_, response) => {
      asked += 1;
      response.writeHead(308, { location: "https://hub.example/api/v1/me" }).end();
    });
    await expect(hubApi(createHubClient(url, "t")).me()).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      message: expect.stringContaining("https://hub.example"),
    });
    expect(asked).toBe(1);
  });

  it("tells a hub that is away from a call that was given up", async () => {
    const gone = await answering(() => {});
    await new Promise((resolve) => server?.close(resolve));
    await expect(hubApi(createHubClient(gone, "t")).me()).rejects.toMatchObject({
      code: "UNAVAILABLE",
      message: expect.stringContaining("ECONNREFUSED"),
      retry: true,
    });
    const url = await answering(() => {});
    await expect(hubApi(createHubClient(url, "t", AbortSignal.timeout(50))).me()).rejects.toMatchObject({
      code: "CANCELLED",
    });
  });

  it("reads a list page after page, and no further than it is asked to", async () => {
    const asked: (string | undefined)[] = [];
    const load = async (cursor: string | undefined) => {
      asked.push(cursor);
      const page = Number(cursor ?? 0);
      return { items: [page * 2, page * 2 + 1], next_cursor: page < 2 ? String(page + 1) : null };
    };
    const all: number[] = [];
    for await (const item of pagesOf(load)) all.push(item);
    expect(all).toEqual([0, 1, 2, 3, 4, 5]);
    expect(asked).toEqual([undefined, "1", "2"]);
    for await (const item of pagesOf(load)) if (item === 1) break;
    expect(asked.length).toBe(4);
  });
});

describe("the worker's data listener", () => {
  const ticketAt = (data_url: string) => ({ ticket: "tk", data_url, expires_at: new Date().toISOString() });

  it("is shown the ticket, and its refusals are passed on", async () => {
    const url = await answering((request, response) => {
      if (request.headers.authorization !== "Bearer tk") return void response.writeHead(500).end();
      response.writeHead(409).end(JSON.stringify(problem));
    });
    await expect(readTree(ticketAt(url), "/")).rejects.toMatchObject({ code: "SOURCE_PAUSED" });
  });

  it("that breaks off, or ends a tar too early, is a failure", async () => {
    const drain = async (url: string) => {
      const members = parseTar(downloadTar(ticketAt(url), new AbortController().signal));
      while (!(await members.next()).done);
    };
    const broken = await answering((_, response) => {
      response.writeHead(200).write(Buffer.alloc(300));
      setImmediate(() => response.destroy());
    });
    await expect(drain(broken)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    server?.closeAllConnections();
    server?.close();
    // Ends like a whole answer, without a tar's end.
    const short = await answering((_, response) => response.writeHead(200).end(Buffer.alloc(512)));
    await expect(drain(short)).rejects.toMatchObject({ code: "ARCHIVE_TRUNCATED" });
  });
});
