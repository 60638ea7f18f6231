import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { newId, type WorkerId } from "@xvault/kernel";
import {
  createJobConsumer,
  createJobQueue,
  type JobConsumer,
  type JobQueue,
  type QueueConnection,
} from "@xvault/queue";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { available, freePort, type Running, start } from "./checks/processes.ts";

const REDIS = available("redis-server");

describe.skipIf(!REDIS)(
  `the Redis that infra/secrets.sh sets up${REDIS ? "" : " (redis-server is not installed)"}`,
  () => {
    const folder = mkdtempSync(join(tmpdir(), "xvault-redis-"));
    let redis: Running;
    let connection: QueueConnection;
    let port: number;
    const closing: (JobQueue | JobConsumer)[] = [];

    beforeAll(async () => {
      port = await freePort();
      execFileSync(join(import.meta.dirname, "secrets.sh"), [folder]);
      const url = new URL(readFileSync(join(folder, "redis_url"), "utf8"));
      url.host = `127.0.0.1:${port}`;
      connection = { kind: "redis", url: url.href };
      const args = [join(folder, "redis.conf"), "--port", String(port), "--bind", "127.0.0.1", "--dir", folder];
      redis = start("redis-server", args);
      await redis.until(() => redis.output().includes("Ready to accept connections"));
    });
    afterAll(async () => {
      for (const end of closing) await end.close();
      await redis.stop();
      rmSync(folder, { recursive: true, force: true });
    });

    const asQueue = (...command: string[]) => {
      const env = { ...process.env, REDISCLI_AUTH: readFileSync(join(folder, "queue_password"), "utf8") };
      return execFileSync("redis-cli", ["-p", String(port), "--user", "queue", ...command], {
        env,
        encoding: "utf8",
      }).trim();
    };

    it("lets the hub announce and a worker take", async () => {
      const problems: unknown[] = [];
      const onError = (error: unknown) => void problems.push(error);
      const taken = Promise.withResolvers<string>();
      const queue = createJobQueue(connection, { onError });
      const consumer = createJobConsumer(connection, {
        workerId: newId<WorkerId>(),
        concurrency: 1,
        handle: async ({ jobId }) => taken.resolve(jobId),
        onError,
      });
      closing.push(consumer, queue);
      const jobId = newId<WorkerId>();
      await queue.announce({ v: 1, jobId, attempt: 0 });
      expect(await taken.promise).toBe(jobId);
      expect(problems).toEqual([]);
    });

    it.each([
      [["SET", "other", "1"], /NOPERM/],
      [["GET", "other"], /NOPERM/],
      [["FLUSHALL"], /NOPERM/],
      [["CONFIG", "GET", "requirepass"], /NOPERM/],
      [["ACL", "LIST"], /NOPERM/],
      [["SET", "xvault:own", "1"], /^OK$/],
    ])("answers the queue's user who sends %j with %s", (command, answer) => {
      expect(asQueue(...command)).toMatch(answer);
    });

    it("answers nobody without the password", () => {
      expect(execFileSync("redis-cli", ["-p", String(port), "PING"], { encoding: "utf8" })).toMatch(/NOAUTH/);
    });
  },
);
