import type { JobMessage } from "@xvault/contracts";
import { newId, type WorkerId } from "@xvault/kernel";
import { type RedisServer, redisAvailable, startRedis } from "@xvault/test-kit/redis";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { bench, holding, message, PATIENCE, queueContract } from "./contract.suite.ts";
import { createJobConsumer } from "./job-consumer.ts";
import { createJobQueue } from "./job-queue.ts";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const missing = redisAvailable() ? "" : " (skipped: there is no redis-server on this machine)";

describe.skipIf(missing !== "")(`Redis${missing}`, () => {
  let server: RedisServer;
  let admin: Redis;
  beforeAll(async () => {
    server = await startRedis();
    admin = new Redis(server.url, { maxRetriesPerRequest: null });
    admin.on("error", () => {}); // it is away while a test takes the server away
  });
  afterAll(async () => {
    admin.disconnect();
    await server.stop();
  });
  const connection = () => ({ kind: "redis", url: server.url }) as const;
  const flush = async () => void (await admin.flushall());

  queueContract("Redis", connection, flush);

  describe("losing Redis loses no job (promise 25)", () => {
    const { queue: openQueue, consumer: openConsumer } = bench(connection);

    test("after FLUSHALL, what is announced again is delivered, and what ran goes on", async () => {
      const queue = openQueue();
      const handler = holding();
      openConsumer({ concurrency: 1, handle: handler.handle });
      const [running, waiting] = [message(), message()];
      await queue.announce(running);
      await vi.waitFor(() => expect(handler.started).toEqual([running]), PATIENCE);
      await queue.announce(waiting);
      await flush();
      expect(await queue.counts()).toEqual({ waiting: 0, active: 0 });
      await queue.announce(waiting);
      handler.letAllGo();
      await vi.waitFor(() => expect(handler.finished).toEqual([running, waiting]), PATIENCE);
    });

    test("an idle consumer hears what is announced after FLUSHALL", async () => {
      const queue = openQueue();
      const handler = holding();
      handler.letAllGo();
      openConsumer({ handle: handler.handle });
      const [before, after] = [message(), message()];
      await queue.announce(before);
      await vi.waitFor(() => expect(handler.finished).toEqual([before]), PATIENCE);
      await flush();
      await queue.announce(after);
      await vi.waitFor(() => expect(handler.finished).toEqual([before, after]), PATIENCE);
    });

    test("while it is away announcing says UNAVAILABLE, a running handler goes on; when it is back, so is everything", async () => {
      const queue = openQueue();
      const handler = holding();
      openConsumer({ handle: handler.handle });
      const [first, second] = [message(), message()];
      await queue.announce(first);
      await vi.waitFor(() => expect(handler.started).toEqual([first]), PATIENCE);
      const { port } = server;
      await server.stop();
      await expect(queue.announce(second)).rejects.toMatchObject({ code: "UNAVAILABLE", retry: true });
      await expect(queue.ping()).rejects.toMatchObject({ code: "UNAVAILABLE" });
      handler.letAllGo();
      await vi.waitFor(() => expect(handler.finished).toEqual([first]), PATIENCE);
      server = await startRedis({ port });
      await vi.waitFor(() => queue.announce(second), PATIENCE);
      await vi.waitFor(() => expect(handler.finished).toContainEqual(second), PATIENCE);
    });

    test("a queue and a consumer that are opened while it is away work once it is there, and close if it never comes", async () => {
      const { port } = server;
      await server.stop();
      const queue = openQueue();
      const handler = holding();
      handler.letAllGo();
      openConsumer({ handle: handler.handle });
      const hopeless = openConsumer({ handle: handler.handle });
      const one = message();
      await expect(queue.announce(one)).rejects.toMatchObject({ code: "UNAVAILABLE" });
      await hopeless.close();
      server = await startRedis({ port });
      await vi.waitFor(() => queue.announce(one), PATIENCE);
      await vi.waitFor(() => expect(handler.finished).toContainEqual(one), PATIENCE);
    });
  });

  test("a Redis user who may touch nothing but the queue's keys is enough", async () => {
    await admin.call("ACL", "SETUSER", "queue", "on", ">pw", "~xvault:*", "+@all", "-@admin", "-@dangerous", "+info");
    const url = server.url.replace("redis://", "redis://queue:pw@");
    const queue = createJobQueue({ kind: "redis", url }, { onError: () => {} });
    const got: JobMessage[] = [];
    const consumer = createJobConsumer(
      { kind: "redis", url },
      { workerId: newId<WorkerId>(), concurrency: 1, handle: async (each) => void got.push(each), onError: () => {} },
    );
    const one = message();
    await queue.announce(one);
    await vi.waitFor(() => expect(got).toEqual([one]), PATIENCE);
    await consumer.close();
    await queue.close();

    const confined = new Redis(url);
    await expect(confined.set("elsewhere", "1")).rejects.toThrow("NOPERM");
    await expect(confined.flushall()).rejects.toThrow("NOPERM");
    confined.disconnect();
    await flush();
  });

  test("keys stay under one prefix, and messages hold ids alone", async () => {
    const queue = createJobQueue(connection(), { onError: () => {} });
    const one = message(2);
    await queue.announce(one);
    await queue.close();
    const keys = await admin.keys("*");
    expect(keys.filter((key) => !key.startsWith("xvault:jobs"))).toEqual([]);
    const stored = await admin.hgetall(`xvault:jobs:${one.jobId}.2`);
    expect(JSON.parse(stored["data"] ?? "")).toEqual(one);
    await flush();
  });
});
