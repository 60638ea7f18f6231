import { isXVaultError } from "@xvault/kernel";
import { describe, expect, test } from "vitest";
import { xvaultHome } from "./home.ts";
import { loadHubConfig } from "./hub-config.ts";
import { loadWorkerConfig } from "./worker-config.ts";

const KEK = Buffer.alloc(32, 7).toString("base64");

function problemNames(run: () => unknown): string[] {
  try {
    run();
  } catch (error) {
    if (!isXVaultError(error, "CONFIG_INVALID")) throw error;
    return error.message
      .split("\n")
      .slice(1)
      .map((line) => line.split(":")[0] ?? "");
  }
  return [];
}

describe("the hub's configuration", () => {
  test("needs a key encryption key alone, outside production", () => {
    const config = loadHubConfig({ XVAULT_KEK: KEK });
    expect(config).toMatchObject({
      port: 8420,
      host: "127.0.0.1",
      baseUrl: "http://localhost:8420",
      trustProxy: false,
      allowSignup: true,
      production: false,
      logLevel: "info",
      workerDataOrigins: [],
      queue: undefined,
    });
    expect(config.kek.reveal()).toBe(KEK);
    expect(problemNames(() => loadHubConfig({}))).toEqual(["XVAULT_KEK"]);
  });

  test("takes the port into the base URL, and a base URL without its slash", () => {
    expect(loadHubConfig({ XVAULT_KEK: KEK, PORT: "9000" }).baseUrl).toBe("http://localhost:9000");
    expect(loadHubConfig({ XVAULT_KEK: KEK, BASE_URL: "https://vault.example/" }).baseUrl).toBe(
      "https://vault.example",
    );
  });

  test("lets webhooks into private networks outside production alone, unless the operator says so", () => {
    const production = { XVAULT_KEK: KEK, NODE_ENV: "production", DATABASE_URL: "postgres://p/x" };
    expect(loadHubConfig({ XVAULT_KEK: KEK })).toMatchObject({ allowPrivate: true, allowedRanges: [] });
    expect(loadHubConfig(production).allowPrivate).toBe(false);
    const told = { ...production, XVAULT_ALLOW_PRIVATE: "1", XVAULT_ALLOWED_RANGES: "10.1.0.0/16" };
    expect(loadHubConfig(told)).toMatchObject({ allowPrivate: true, allowedRanges: ["10.1.0.0/16"] });
  });

  test("lets workspaces add remotes of their own where private addresses are open anyway, unless the operator says so", () => {
    const production = { XVAULT_KEK: KEK, NODE_ENV: "production", DATABASE_URL: "postgres://p/x" };
    const allowed = (more: object) => loadHubConfig({ ...production, ...more }).workspaceRclone;
    expect(loadHubConfig({ XVAULT_KEK: KEK }).workspaceRclone).toBe(true);
    expect(allowed({})).toBe(false);
    expect(allowed({ XVAULT_ALLOW_PRIVATE: "1" })).toBe(true);
    expect(allowed({ XVAULT_ALLOW_PRIVATE: "1", XVAULT_WORKSPACE_RCLONE: "0" })).toBe(false);
    expect(allowed({ XVAULT_WORKSPACE_RCLONE: "1" })).toBe(true);
  });

  test("tells the kinds of queue apart", () => {
    const redis = loadHubConfig({ XVAULT_KEK: KEK, REDIS_URL: "rediss://:pw@r:6380" }).queue;
    expect([redis?.kind, redis?.url.reveal()]).toEqual(["redis", "rediss://:pw@r:6380"]);
    expect(loadHubConfig({ XVAULT_KEK: KEK, QUEUE_URL: "postgresql://q:pw@p/queue" }).queue?.kind).toBe("postgres");
  });

  test("names everything that production lacks or that contradicts itself", () => {
    const env = {
      NODE_ENV: "production",
      XVAULT_KEK: "short",
      XVAULT_KEK_PREVIOUS: `${KEK},short`,
      XVAULT_ADMIN_EMAIL: "admin@example.org",
      XVAULT_ENROLLMENT_TOKEN: "guessable",
      QUEUE_URL: "postgres://q@p/queue",
      REDIS_URL: "redis://r",
      LOG_LEVEL: "loud",
    };
    expect(problemNames(() => loadHubConfig(env)).toSorted()).toEqual([
      "DATABASE_URL",
      "LOG_LEVEL",
      "QUEUE_URL",
      "XVAULT_ADMIN_PASSWORD",
      "XVAULT_ENROLLMENT_TOKEN",
      "XVAULT_KEK",
      "XVAULT_KEK_PREVIOUS",
    ]);
  });
});

describe("the worker's configuration", () => {
  const least = { XVAULT_HUB_URL: "http://hub:8420", REDIS_URL: "redis://r", XVAULT_HOME: "/srv/xvault" };

  test("needs the hub and a queue", () => {
    expect(loadWorkerConfig(least)).toMatchObject({
      hubUrl: "http://hub:8420",
      home: "/srv/xvault",
      storagePath: "/srv/xvault",
      concurrency: 2,
      dataUrl: "http://127.0.0.1:8421",
      queue: { kind: "redis" },
    });
    expect(problemNames(() => loadWorkerConfig({}))).toEqual(["XVAULT_HUB_URL", "QUEUE_URL"]);
  });

  test("lets private addresses be reached outside production only, unless told otherwise (promise 37)", () => {
    const production = { ...least, XVAULT_HUB_URL: "https://hub", NODE_ENV: "production" };
    expect(loadWorkerConfig(least).allowPrivate).toBe(true);
    expect(loadWorkerConfig(production).allowPrivate).toBe(false);
    expect(loadWorkerConfig({ ...production, XVAULT_ALLOW_PRIVATE: "1" }).allowPrivate).toBe(true);
    expect(loadWorkerConfig({ ...least, XVAULT_ALLOW_PRIVATE: "0" }).allowPrivate).toBe(false);
  });

  test("goes to a hub beyond this machine by https in production, unless somebody vouches for the network", () => {
    const at =
      (url: string, more = {}) =>
      () =>
        loadWorkerConfig({ ...least, NODE_ENV: "production", XVAULT_HUB_URL: url, ...more });
    expect(problemNames(at("http://hub:8420"))).toEqual(["XVAULT_HUB_URL"]);
    for (const url of ["https://hub", "http://127.0.0.1:8420", "http://[::1]:8420", "http://localhost:8420"]) {
      expect(at(url)().hubUrl).toBe(url);
    }
    expect(at("http://hub:8420", { XVAULT_ALLOW_PLAIN_HUB: "1" })().hubUrl).toBe("http://hub:8420");
    expect(problemNames(at("http://127.0.0.1.example.org"))).toEqual(["XVAULT_HUB_URL"]);
  });

  test("refuses a name that would not do in a path or a log", () => {
    expect(problemNames(() => loadWorkerConfig({ ...least, XVAULT_WORKER_NAME: "../w" }))).toEqual([
      "XVAULT_WORKER_NAME",
    ]);
  });
});

test("the home is what is set, the system's place for root, the user's own otherwise", () => {
  expect(xvaultHome({ XVAULT_HOME: "/data/x" })).toBe("/data/x");
  const elsewhere = xvaultHome({ HOME: "/home/u", XDG_DATA_HOME: "/home/u/data" });
  expect(elsewhere).toBe(process.getuid?.() === 0 ? "/var/lib/xvault" : "/home/u/data/xvault");
});
