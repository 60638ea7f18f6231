import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type EmbeddedPostgres, startEmbeddedPostgres } from "@xvault/db/embedded";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { bench, holding, message, PATIENCE, queueContract } from "./contract.suite.ts";
import { migrateQueue } from "./migrate.ts";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

describe("PostgreSQL", () => {
  const name = `queue_${process.pid}`;
  let directory: string;
  let server: EmbeddedPostgres;
  let admin: pg.Client;
  let url: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "xvault-queue-"));
    server = await startEmbeddedPostgres({ dataDir: join(directory, "postgres"), throwaway: true });
    admin = new pg.Client(server.ownerUrl);
    await admin.connect();
    // As in production: a role that owns the queue's database and sees nothing else.
    await admin.query(`CREATE ROLE ${name} LOGIN PASSWORD '${name}'`);
    await admin.query(`CREATE DATABASE ${name} OWNER ${name}`);
    const own = new URL(server.ownerUrl);
    own.username = name;
    own.password = name;
    own.pathname = `/${name}`;
    url = own.href;
  });
  afterAll(async () => {
    await admin.end();
    await server.stop();
    await rm(directory, { recursive: true, force: true });
  });
  const connection = () => ({ kind: "postgres", url }) as const;
  const inQueue = async (sql: string) => {
    const client = new pg.Client(url);
    await client.connect();
    try {
      return await client.query<Record<string, unknown>>(sql);
    } finally {
      await client.end();
    }
  };
  const empty = async () => {
    await inQueue("DELETE FROM bullmq.job");
    await inQueue("DELETE FROM bullmq.event");
  };
  /** Breaks every connection to the queue's database and lets none in, as if it were down. */
  const takeAway = async () => {
    await admin.query(`ALTER DATABASE ${name} ALLOW_CONNECTIONS false`);
    await admin.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${name}'`);
  };
  const bringBack = () => admin.query(`ALTER DATABASE ${name} ALLOW_CONNECTIONS true`);

  test("tables can be made by several processes at once, and again", async () => {
    await Promise.all([migrateQueue(url), migrateQueue(url), migrateQueue(url)]);
    await migrateQueue(url);
    const { rows } = await inQueue("SELECT count(*)::int AS tables FROM pg_tables WHERE schemaname = 'bullmq'");
    expect(rows[0]?.["tables"]).toBeGreaterThan(3);
    await expect(migrateQueue(url.replace(name, "nobody_of_that_name"))).rejects.toMatchObject({ code: "UNAVAILABLE" });
  });

  queueContract("PostgreSQL", connection, empty);

  describe("losing the queue loses no job (promise 25)", () => {
    const { queue: openQueue, consumer: openConsumer } = bench(connection);

    test("after its tables were emptied, what is announced again is delivered", async () => {
      const queue = openQueue();
      const handler = holding();
      openConsumer({ concurrency: 1, handle: handler.handle });
      const [running, waiting] = [message(), message()];
      await queue.announce(running);
      await vi.waitFor(() => expect(handler.started).toEqual([running]), PATIENCE);
      await queue.announce(waiting);
      await empty();
      await queue.announce(waiting);
      handler.letAllGo();
      await vi.waitFor(() => expect(handler.finished).toEqual([running, waiting]), PATIENCE);
    });

    test("while it is away announcing says UNAVAILABLE, a running handler goes on; when it is back, so is everything", async () => {
      const queue = openQueue();
      const handler = holding();
      openConsumer({ handle: handler.handle });
      const [first, second] = [message(), message()];
      await queue.announce(first);
      await vi.waitFor(() => expect(handler.started).toEqual([first]), PATIENCE);
      await takeAway();
      await expect(queue.announce(second)).rejects.toMatchObject({ code: "UNAVAILABLE", retry: true });
      await expect(queue.ping()).rejects.toMatchObject({ code: "UNAVAILABLE" });
      handler.letAllGo();
      await vi.waitFor(() => expect(handler.finished).toEqual([first]), PATIENCE);
      await bringBack();
      await vi.waitFor(() => queue.announce(second), PATIENCE);
      await vi.waitFor(() => expect(handler.finished).toContainEqual(second), PATIENCE);
    });

    test("a queue and a consumer that are opened while it is away work once it is there, and close if it never comes", async () => {
      await takeAway();
      const queue = openQueue();
      const handler = holding();
      handler.letAllGo();
      openConsumer({ handle: handler.handle });
      const hopeless = openConsumer({ handle: handler.handle });
      const one = message();
      await expect(queue.announce(one)).rejects.toMatchObject({ code: "UNAVAILABLE" });
      await hopeless.close();
      await bringBack();
      await vi.waitFor(() => queue.announce(one), PATIENCE);
      await vi.waitFor(() => expect(handler.finished).toContainEqual(one), PATIENCE);
    });
  });

  describe("what is kept", () => {
    const { queue: openQueue, consumer: openConsumer } = bench(connection);

    test("is ids alone while a message is there, nothing of it afterwards, and few events", async () => {
      await empty();
      const queue = openQueue();
      const one = message(2);
      await queue.announce(one);
      const { rows } = await inQueue("SELECT queue, data FROM bullmq.job");
      expect(rows).toEqual([{ queue: "jobs", data: one }]);

      const handler = holding();
      handler.letAllGo();
      for (let at = 0; at < 250; at += 1) await queue.announce(message());
      openConsumer({ concurrency: 8, handle: handler.handle });
      await vi.waitFor(() => expect(handler.finished.length).toBe(251), PATIENCE);
      await vi.waitFor(async () => expect((await inQueue("SELECT FROM bullmq.job")).rowCount).toBe(0), PATIENCE);
      const { rows: events } = await inQueue("SELECT count(*)::int AS events FROM bullmq.event");
      expect(events[0]?.["events"]).toBeLessThan(500);
    });
  });
});
