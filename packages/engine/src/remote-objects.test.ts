import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { remoteObjects, type RemoteObjectsOptions } from "./remote-objects.ts";

const OBJECT = Buffer.from(Array.from({ length: 100_000 }, (_, i) => i % 251));
type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/** Serves ranges of one object as a worker's data listener does. */
const serveRange: Answer = (request, response) => {
  const [, from = "0", to = "0"] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "") ?? [];
  const bytes = OBJECT.subarray(Number(from), Number(to) + 1);
  response.writeHead(206, { "content-range": `bytes ${from}-${to}/${OBJECT.length}`, "content-length": bytes.length });
  response.end(bytes);
};

let close: () => Promise<void> = async () => {};
afterEach(() => close());

/** A server that answers the n-th request as the n-th answer says, and all later ones well. */
async function serverWith(first: Answer[], options: Partial<RemoteObjectsOptions> = {}) {
  const requests: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    requests.push(request);
    (first.shift() ?? serveRange)(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  close = () =>
    new Promise((resolve) => {
      server.closeAllConnections();
      server.close(() => resolve());
    });
  const objects = remoteObjects({
    dataUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    ticket: async (renew) => (renew ? "new" : "old"),
    retryAfter: [1, 1],
    ...options,
  });
  return { objects, requests };
}

const status =
  (code: number): Answer =>
  (_, response) =>
    void response.writeHead(code).end();
const cutAway: Answer = (_, response) => void response.destroy();
const cutShort: Answer = (_, response) => {
  response.writeHead(206, { "content-range": `bytes 0-99999/${OBJECT.length}`, "content-length": 100_000 });
  response.write(OBJECT.subarray(0, 500));
  setImmediate(() => response.destroy());
};

describe("remoteObjects", () => {
  it("reads ranges and whole objects, showing the ticket as a bearer", async () => {
    const { objects, requests } = await serverWith([]);
    const artifact = await objects.artifact();
    expect(artifact.size).toBe(OBJECT.length);
    expect(await artifact.read(1000, 5000)).toEqual(OBJECT.subarray(1000, 6000));
    expect(await artifact.read(0, 0)).toEqual(Buffer.alloc(0));
    expect(await objects.blocks()).toEqual(OBJECT);
    expect(requests[0]?.url).toBe("/v1/raw/backup.tar.zst.enc");
    expect(requests[0]?.headers.authorization).toBe("Bearer old");
    await expect(artifact.read(OBJECT.length - 1, 2)).rejects.toMatchObject({ code: "ARCHIVE_TRUNCATED" });
  });

  it("takes a broken connection for what it is, and tries again", async () => {
    const { objects, requests } = await serverWith([cutAway, serveRange, cutShort, status(503)]);
    expect(await objects.blocks()).toEqual(OBJECT);
    expect(requests.length).toBe(5);
  });

  it("gives up after the last try, without calling it damage", async () => {
    const { objects, requests } = await serverWith([cutAway, cutAway, cutAway, cutAway]);
    await expect(objects.artifact()).rejects.toMatchObject({ code: "UNAVAILABLE", retry: true });
    expect(requests.length).toBe(3);
  });

  it("asks for a new ticket once when the old one is refused", async () => {
    const { objects, requests } = await serverWith([status(401)]);
    expect((await objects.index()).size).toBe(OBJECT.length);
    expect(requests.map((request) => request.headers.authorization)).toEqual(["Bearer old", "Bearer new"]);
    await close();
    const refused = await serverWith([status(401), status(401)]);
    await expect(refused.objects.index()).rejects.toMatchObject({ code: "TOKEN_INVALID" });
    expect(refused.requests.length).toBe(2);
  });

  it("tells a missing object, a listener without ranges and a reader that gives up apart", async () => {
    const missing = await serverWith([status(404)]);
    await expect(missing.objects.manifest()).rejects.toMatchObject({ code: "ARTIFACT_MISSING" });
    await close();
    const whole = await serverWith([status(200), status(200), status(200)]);
    await expect(whole.objects.artifact()).rejects.toMatchObject({ code: "UNAVAILABLE" });
    await close();
    const gone = new AbortController();
    const given = await serverWith([() => gone.abort()], { signal: gone.signal });
    await expect(given.objects.artifact()).rejects.toMatchObject({ code: "CANCELLED" });
  });
});
