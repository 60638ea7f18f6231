import { XVaultError } from "@xvault/kernel";
import { createHealth, createLogger } from "@xvault/platform";
import { mkdtemp, mkdir, rm, writeFile } from "node:fs/promises";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Writable } from "node:stream";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Actor } from "../context.ts";
import type { IdempotencyKeys } from "../idempotency/service.ts";
import { appRouter } from "../routers/index.ts";
import type { Services, Visitor } from "../services.ts";
import { createHttpApp } from "./app.ts";
import { openApiDocument } from "./openapi/document.ts";

const WORKSPACE = "0199f2c4-7c1d-7a52-9d41-3f6f1c9b2a10";
const CANARY = "canary-5f1c77d1";

const actor: Actor = {
  kind: "token",
  userId: "0199f2c4-7c1d-7a52-9d41-3f6f1c9b2a11" as Actor["userId"],
  email: "ann@example.org",
  name: "Ann",
  isPlatformAdmin: false,
  credentialId: "0199f2c4-7c1d-7a52-9d41-3f6f1c9b2a12",
  scopes: ["jobs:read", "sources:read"],
  confirmedAt: null,
  workspace: {
    id: WORKSPACE as NonNullable<Actor["workspace"]>["id"],
    name: "Example",
    keyMode: "platform",
    role: "viewer",
    createdAt: new Date(0),
  },
};

/** What the calls of this file need of the services; anything else fails as a mistake of the program would. */
const seen: { limit?: number; signal?: AbortSignal } = {};
let dataOrigins: string[] = [];
const services = {
  auth: {
    async authenticate(bearer: string, workspace: string | undefined) {
      if (bearer !== "good") throw new XVaultError("TOKEN_EXPIRED");
      return workspace === undefined || workspace === WORKSPACE ? actor : { ...actor, workspace: null };
    },
    async signIn(_input: unknown, visitor: Visitor) {
      visitor.cookie.write("fresh", new Date(Date.now() + 60_000));
      const user = { id: actor.userId, email: actor.email, name: actor.name, is_platform_admin: false };
      return { access_token: "a", expires_at: new Date().toISOString(), user, workspaces: [] };
    },
    async refresh() {
      throw new XVaultError("SESSION_REVOKED");
    },
  },
  system: {
    info: async () => ({ version: "1.2.3", signup: true, root_keys: [], workers_online: 0, demo: false }),
  },
  jobs: {
    async list(_caller: unknown, input: { limit: number }) {
      seen.limit = input.limit;
      return { items: [], next_cursor: null };
    },
    async get() {
      throw new Error(`the database said ${CANARY}`);
    },
  },
} as unknown as Services;

/** Never heard of a key before. */
const idempotency: IdempotencyKeys = { take: async () => ({ keep: async () => {}, release: async () => {} }) };

let server: Server;
let base: string;
let webDir: string;
let logged = "";

beforeAll(async () => {
  webDir = await mkdtemp(join(tmpdir(), "xvault-web-"));
  await mkdir(join(webDir, "assets"));
  await writeFile(join(webDir, "index.html"), "<!doctype html><title>xVault</title>");
  await writeFile(join(webDir, "assets", "app-1a2b.js"), "export {};");
  const destination = new Writable({
    write(chunk, _encoding, done) {
      logged += String(chunk);
      done();
    },
  });
  const log = createLogger({ name: "test", destination });
  const app = createHttpApp({
    appRouter,
    services,
    idempotency,
    sessions: { isAlive: async () => true, actorOfRefreshToken: async () => actor },
    config: { baseUrl: "http://xvault.example:8420", trustProxy: false },
    log,
    health: createHealth({ log }),
    version: "1.2.3",
    dataOrigins: () => dataOrigins,
    webDir,
  });
  await new Promise<void>((resolve) => {
    server = app.listen(0, "127.0.0.1", () => resolve());
  });
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterAll(async () => {
  await new Promise((resolve) => server.close(resolve));
  await rm(webDir, { recursive: true });
});

/** A query that anybody may call. */
const INFO = "/trpc/system.info?input=%7B%7D";
const bearer = { authorization: "Bearer good" };
const json = { "content-type": "application/json" };
/** A tRPC mutation that anybody may call. */
const post = (headers: Record<string, string>, body = "{}") =>
  fetch(`${base}/trpc/auth.refresh`, { method: "POST", headers: { ...json, ...headers }, body });
const codeOf = async (res: Response) =>
  ((await res.json()) as { error: { data: { report: { code: string } } } }).error.data.report.code;

describe("REST", () => {
  test("answers the plain output", async () => {
    const res = await fetch(`${base}/api/v1/info`);
    expect(res.status).toBe(200);
    expect(await res.json()).toMatchObject({ version: "1.2.3", signup: true });
  });

  test("reads numbers from the query by the schema", async () => {
    const res = await fetch(`${base}/api/v1/jobs?limit=7`, { headers: bearer });
    expect(res.status).toBe(200);
    expect(seen.limit).toBe(7);
  });

  test("answers errors as problem documents with code, cause, fix and request id", async () => {
    const res = await fetch(`${base}/api/v1/jobs?limit=many`, { headers: { ...bearer, "x-request-id": "abc-12345" } });
    expect(res.status).toBe(400);
    expect(res.headers.get("content-type")).toMatch(/^application\/problem\+json/);
    const problem = (await res.json()) as Record<string, unknown>;
    expect(problem).toMatchObject({
      type: "urn:xvault:error:INPUT_INVALID",
      status: 400,
      code: "INPUT_INVALID",
      retry: false,
      request_id: "abc-12345",
    });
    expect(problem["message"]).toContain("limit");
    expect(problem["fix"]).not.toBe("");
  });

  test.each([
    ["without a token", "/jobs", {}, 401, "UNAUTHENTICATED"],
    ["with a dead token", "/jobs", { authorization: "Bearer bad" }, 401, "TOKEN_EXPIRED"],
    ["with a token that lacks the scope", "/audit", bearer, 403, "SCOPE_MISSING"],
    [
      "for another's workspace",
      "/jobs",
      { ...bearer, "x-xvault-workspace": WORKSPACE.replace("7c1d", "7c1e") },
      404,
      "NOT_FOUND",
    ],
    ["for a path that is none", "/nowhere", bearer, 404, "NOT_FOUND"],
    ["for a path that cannot be decoded", "/jobs/%E0%A4%A", bearer, 400, "INPUT_INVALID"],
    ["for an id that is none", "/jobs/nonsense", bearer, 400, "INPUT_INVALID"],
  ])("refuses %s", async (_what, path, headers, status, code) => {
    const res = await fetch(`${base}/api/v1${path}`, { headers });
    expect([res.status, ((await res.json()) as { code: string }).code]).toEqual([status, code]);
  });

  test("a dead token does not matter where none is needed", async () => {
    const res = await fetch(`${base}/api/v1/info`, { headers: { authorization: "Bearer bad" } });
    expect(res.status).toBe(200);
  });

  test.each([
    ["malformed JSON", json, "{", 400, "INPUT_INVALID"],
    ["another kind of body", { "content-type": "text/plain" }, "{}", 400, "INPUT_INVALID"],
    ["a body that is no object", json, "[]", 400, "INPUT_INVALID"],
    ["a body above the limit", json, JSON.stringify({ a: "x".repeat(3_000_000) }), 413, "BODY_TOO_LARGE"],
  ])("refuses %s", async (_what, headers, body, status, code) => {
    const res = await fetch(`${base}/api/v1/auth/token`, { method: "POST", headers, body });
    expect([res.status, ((await res.json()) as { code: string }).code]).toEqual([status, code]);
  });

  test("says with every answer what is left of the limit", async () => {
    for (const path of ["/info", "/jobs", "/nowhere", "/openapi.json"]) {
      const { headers } = await fetch(`${base}/api/v1${path}`);
      expect(headers.get("ratelimit-policy"), path).toBe('"default";q=3000;w=60');
      expect(headers.get("ratelimit"), path).toMatch(/^"default";r=29\d\d;t=\d+$/);
      expect(headers.get("x-ratelimit-limit"), path).toBe("3000");
      expect(Number(headers.get("x-ratelimit-remaining")), path).toBeLessThan(3000);
      expect(Number(headers.get("x-ratelimit-reset")), path).toBeGreaterThanOrEqual(Math.floor(Date.now() / 1000));
    }
  });

  test("the OpenAPI document is served as it is made", async () => {
    const res = await fetch(`${base}/api/v1/openapi.json`);
    expect(await res.json()).toEqual(JSON.parse(JSON.stringify(openApiDocument(appRouter, "1.2.3"))));
  });
});

describe("tRPC", () => {
  test("answers, also in a batch of ten, but not of eleven", async () => {
    const batch = (count: number, comma = ",") => {
      const inputs = Object.fromEntries(Array.from({ length: count }, (_none, index) => [index, {}]));
      const names = Array(count).fill("system.info").join(comma);
      return fetch(`${base}/trpc/${names}?batch=1&input=${encodeURIComponent(JSON.stringify(inputs))}`);
    };
    expect((await fetch(base + INFO)).status).toBe(200);
    expect((await batch(10)).status).toBe(200);
    const refused = await batch(11);
    expect([refused.status, await codeOf(refused)]).toEqual([400, "BATCH_LIMIT"]);
    const hidden = await batch(11, "%2C");
    expect(await codeOf(hidden)).toBe("BATCH_LIMIT");
  });

  test("refuses large, malformed and foreign bodies with our codes", async () => {
    expect(await codeOf(await post({}, JSON.stringify("x".repeat(3_000_000))))).toBe("BODY_TOO_LARGE");
    expect(await codeOf(await post({}, "{"))).toBe("INPUT_INVALID");
    expect(await codeOf(await post({ "content-type": "text/plain" }))).toBe("INPUT_INVALID");
  });

  test("refuses foreign origins, and takes its own and none", async () => {
    // SESSION_REVOKED is what the service says: the call went through.
    expect(await codeOf(await post({}))).toBe("SESSION_REVOKED");
    expect(await codeOf(await post({ origin: "http://xvault.example:8420" }))).toBe("SESSION_REVOKED");
    expect(await codeOf(await post({ origin: base }))).toBe("SESSION_REVOKED");
    for (const origin of ["https://evil.example", "null", "http://127.0.0.1:1", "https://xvault.example:8420"]) {
      const res = await post({ origin });
      expect({ origin, status: res.status, code: await codeOf(res) }).toEqual({
        origin,
        status: 403,
        code: "ORIGIN_DENIED",
      });
    }
  });

  test("a foreign page may not read with our cookie either", async () => {
    const read = (headers: Record<string, string>) => fetch(base + INFO, { headers });
    const origin = "https://evil.example";
    expect((await read({ origin, cookie: "xvault_refresh=x" })).status).toBe(403);
    expect((await read({ origin: base, cookie: "xvault_refresh=x" })).status).toBe(200);
  });
});

describe("what never leaks", () => {
  test("an unforeseen failure is INTERNAL, without cause or stack, and stands in the log under its request id", async () => {
    const id = "0199f2c4-7c1d-7a52-9d41-3f6f1c9b2a13";
    const rest = await fetch(`${base}/api/v1/jobs/${id}`, { headers: { ...bearer, "x-request-id": "leak-test-1" } });
    const input = encodeURIComponent(JSON.stringify({ id }));
    const trpc = await fetch(`${base}/trpc/jobs.get?input=${input}`, { headers: bearer });
    for (const res of [rest, trpc]) {
      expect(res.status).toBe(500);
      const text = await res.text();
      expect(text).toContain('"INTERNAL"');
      expect(text).not.toContain(CANARY);
      expect(text).not.toMatch(/\bat .*:\d+:\d+|stack/);
    }
    const line = logged.split("\n").find((entry) => entry.includes("leak-test-1") && entry.includes(CANARY));
    expect(line).toBeDefined();
  });

  test("the log has neither queries nor authorization", async () => {
    await fetch(`${base}/api/v1/info?ticket=${CANARY}-query`, {
      headers: { authorization: `Bearer ${CANARY}-bearer`, cookie: `xvault_refresh=${CANARY}-cookie` },
    });
    await expect.poll(() => logged).toContain('"path":"/api/v1/info"');
    expect(logged).not.toContain(`${CANARY}-query`);
    expect(logged).not.toContain(`${CANARY}-bearer`);
    expect(logged).not.toContain(`${CANARY}-cookie`);
  });

  test("a request id with anything odd in it is replaced", async () => {
    const odd = await fetch(`${base}/healthz`, { headers: { "x-request-id": "a b{}" } });
    expect(odd.headers.get("x-request-id")).toMatch(/^[0-9a-f-]{36}$/);
    const fine = await fetch(`${base}/healthz`, { headers: { "x-request-id": "trace-0001" } });
    expect(fine.headers.get("x-request-id")).toBe("trace-0001");
  });
});

describe("pages", () => {
  test("carry a strict policy that follows the workers' addresses", async () => {
    const policy = async () => (await fetch(`${base}/`)).headers.get("content-security-policy") ?? "";
    expect(await policy()).toContain("script-src 'self';");
    expect(await policy()).toContain("frame-ancestors 'none'");
    expect(await policy()).not.toContain("upgrade-insecure-requests");
    dataOrigins = ["http://127.0.0.1:9000", "https://w.example; script-src *"];
    expect(await policy()).toMatch(/connect-src 'self' http:\/\/127\.0\.0\.1:9000(;|$)/);
    dataOrigins = [];
  });

  test("index.html for every address, never kept; assets kept for ever; missing assets are missing", async () => {
    const html = { accept: "text/html" };
    const deep = await fetch(`${base}/sources/abc?x=1`, { headers: html });
    expect([deep.status, deep.headers.get("cache-control")]).toEqual([200, "no-cache"]);
    expect(await deep.text()).toContain("<title>xVault</title>");
    const asset = await fetch(`${base}/assets/app-1a2b.js`);
    expect(asset.headers.get("cache-control")).toContain("immutable");
    expect((await fetch(`${base}/assets/app-old.js`, { headers: html })).status).toBe(404);
    expect((await fetch(`${base}/api/v2/x`, { headers: html })).status).toBe(404);
    expect((await fetch(`${base}/%E0%A4%A`, { headers: html })).status).toBe(400);
    expect((await fetch(`${base}/api/v1/info`, { method: "HEAD" })).status).toBe(200);
  });

  test("health answers", async () => {
    expect((await fetch(`${base}/healthz`)).status).toBe(200);
    expect(await (await fetch(`${base}/readyz`)).json()).toMatchObject({ status: "ok" });
  });
});

/** Another app on a port of its own, for one test. */
async function withApp(
  change: { baseUrl?: string; requestsPerMinute?: number },
  work: (url: string) => Promise<void>,
): Promise<void> {
  const log = createLogger({ name: "test", level: "silent" });
  const { baseUrl = "http://localhost:8420", ...rest } = change;
  const app = createHttpApp({
    appRouter,
    services,
    idempotency,
    sessions: { isAlive: async () => true, actorOfRefreshToken: async () => actor },
    config: { baseUrl, trustProxy: false },
    log,
    health: createHealth({ log }),
    version: "1.2.3",
    ...rest,
  });
  const other = await new Promise<Server>((resolve) => {
    const listening = app.listen(0, "127.0.0.1", () => resolve(listening));
  });
  try {
    await work(`http://127.0.0.1:${(other.address() as AddressInfo).port}`);
  } finally {
    other.closeAllConnections();
    await new Promise((resolve) => other.close(resolve));
  }
}

test("an address that asks too much is told to wait", async () => {
  await withApp({ requestsPerMinute: 3 }, async (url) => {
    const ask = () => fetch(`${url}/api/v1/info`);
    for (let count = 0; count < 3; count += 1) expect((await ask()).status).toBe(200);
    const refused = await ask();
    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(refused.headers.get("ratelimit")).toMatch(/^"default";r=0;t=\d+$/);
    expect(refused.headers.get("x-ratelimit-remaining")).toBe("0");
    // Bad tokens are no way around it: they count for the address, and good ones from there wait as well.
    for (const token of ["bad", "good"]) {
      const headers = { authorization: `Bearer ${token}` };
      expect((await fetch(`${url}/api/v1/jobs`, { headers })).status).toBe(429);
    }
  });
});

test("each token has a limit of its own, whatever others at its address do", async () => {
  await withApp({ requestsPerMinute: 3 }, async (url) => {
    const ask = (headers = {}) => fetch(`${url}/api/v1/info`, { headers });
    for (let count = 0; count < 3; count += 1) expect((await ask(bearer)).status).toBe(200);
    expect((await ask(bearer)).status).toBe(429);
    expect((await ask()).status).toBe(200);
  });
});

test("over TLS the cookie is Secure, and browsers are told to stay with TLS", async () => {
  const signIn = (url: string) =>
    fetch(`${url}/trpc/auth.signIn`, {
      method: "POST",
      headers: json,
      body: JSON.stringify({ email: "ann@example.org", password: "x" }),
    });
  await withApp({ baseUrl: "https://xvault.example" }, async (url) => {
    const res = await signIn(url);
    expect(res.headers.getSetCookie()[0]).toMatch(/^__Secure-xvault_refresh=fresh; .*Secure/);
    expect(res.headers.get("strict-transport-security")).toContain("max-age=");
    expect(res.headers.get("content-security-policy")).toContain("upgrade-insecure-requests");
  });
  await withApp({}, async (url) => {
    const res = await signIn(url);
    expect(res.headers.getSetCookie()[0]).toMatch(/^xvault_refresh=fresh; /);
    expect(res.headers.getSetCookie()[0]).not.toContain("Secure");
    expect(res.headers.get("strict-transport-security")).toBe(null);
  });
});
