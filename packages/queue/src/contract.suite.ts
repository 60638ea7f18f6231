import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import type { JobMessage } from "@xvault/contracts";
import { type JobId, newId, type WorkerId } from "@xvault/kernel";
import { afterEach, describe, expect, test, vi } from "vitest";
import type { QueueConnection } from "./backend.ts";
import { createJobConsumer, type JobConsumer, type JobConsumerOptions } from "./job-consumer.ts";
import { createJobQueue, type JobQueue } from "./job-queue.ts";

/** How long a condition may take to come true. No test waits this long unless it fails. */
export const PATIENCE = { timeout: 20_000, interval: 20 };

export function message(attempt = 0): JobMessage {
  return { v: 1, jobId: newId<JobId>(), attempt };
}

/** Opens queues and consumers that are closed after each test. */
export function bench(connection: () => QueueConnection) {
  const open: { close(): Promise<void> }[] = [];
  const errors: unknown[] = [];
  afterEach(async () => {
    await Promise.all(open.splice(0).map((each) => each.close()));
    errors.length = 0;
  });
  return {
    errors,
    queue(): JobQueue {
      const queue = createJobQueue(connection(), { onError: (error) => errors.push(error) });
      open.push(queue);
      return queue;
    },
    consumer(options: Partial<JobConsumerOptions> & Pick<JobConsumerOptions, "handle">): JobConsumer {
      const consumer = createJobConsumer(connection(), {
        workerId: newId<WorkerId>(),
        concurrency: 2,
        onError: (error) => errors.push(error),
        ...options,
      });
      open.push(consumer);
      return consumer;
    },
  };
}

/** A handler that notes what it is given and holds on to it until it is let go. */
export function holding() {
  const started: JobMessage[] = [];
  const finished: JobMessage[] = [];
  const gates = new Map<string, () => void>();
  let open = false;
  return {
    started,
    finished,
    async handle(taken: JobMessage, signal: AbortSignal) {
      started.push(taken);
      if (!open) {
        await Promise.race([
          new Promise<void>((resolve) => gates.set(taken.jobId, resolve)),
          once(signal, "abort").then(() => undefined),
        ]);
      }
      finished.push(taken);
    },
    letGo(one: JobMessage) {
      gates.get(one.jobId)?.();
    },
    letAllGo() {
      open = true;
      for (const go of gates.values()) go();
    },
  };
}

/** What the queue must do on every backend. `fresh` empties it. */
export function queueContract(name: string, connection: () => QueueConnection, fresh: () => Promise<void>): void {
  describe(`${name} carries messages`, () => {
    const { queue: openQueue, consumer: openConsumer, errors } = bench(connection);
    afterEach(fresh);
    const idle = { waiting: 0, active: 0 };

    test("delivers what was announced before and after the consumer came, and keeps nothing", async () => {
      const queue = openQueue();
      const got: JobMessage[] = [];
      const [first, second] = [message(), message(3)];
      await queue.announce(first);
      expect(await queue.counts()).toEqual({ ...idle, waiting: 1 });
      openConsumer({ handle: async (each) => void got.push(each) });
      await vi.waitFor(() => expect(got).toEqual([first]), PATIENCE);
      await queue.announce(second);
      await vi.waitFor(() => expect(got).toEqual([first, second]), PATIENCE);
      await vi.waitFor(async () => expect(await queue.counts()).toEqual(idle), PATIENCE);
      expect(errors).toEqual([]);
    });

    test("announcing an attempt again while its message waits or is handled changes nothing; afterwards it counts", async () => {
      const queue = openQueue();
      const handler = holding();
      const one = message();
      await queue.announce(one);
      await queue.announce(one);
      expect(await queue.counts()).toEqual({ ...idle, waiting: 1 });
      await queue.announce({ ...one, attempt: 1 });
      expect(await queue.counts()).toEqual({ ...idle, waiting: 2 });
      await queue.obliterate();

      await queue.announce(one);
      openConsumer({ handle: handler.handle });
      await vi.waitFor(() => expect(handler.started).toEqual([one]), PATIENCE);
      await queue.announce(one);
      expect(await queue.counts()).toEqual({ ...idle, active: 1 });
      handler.letAllGo();
      await vi.waitFor(async () => expect(await queue.counts()).toEqual(idle), PATIENCE);
      expect(handler.started).toEqual([one]);
      await queue.announce(one);
      await vi.waitFor(() => expect(handler.finished).toEqual([one, one]), PATIENCE);
    });

    test("gives a worker's own messages to that worker alone", async () => {
      const queue = openQueue();
      const [a, b] = [newId<WorkerId>(), newId<WorkerId>()];
      const got = { a: [] as JobMessage[], b: [] as JobMessage[] };
      openConsumer({ workerId: a, handle: async (each) => void got.a.push(each) });
      openConsumer({ workerId: b, handle: async (each) => void got.b.push(each) });
      const forA = Array.from({ length: 5 }, () => message());
      const forB = Array.from({ length: 5 }, () => message());
      for (const each of forA) await queue.announce(each, { workerId: a });
      for (const each of forB) await queue.announce(each, { workerId: b });
      await vi.waitFor(() => expect([got.a.length, got.b.length]).toEqual([5, 5]), PATIENCE);
      const ids = (messages: JobMessage[]) => messages.map((each) => each.jobId).toSorted();
      expect(ids(got.a)).toEqual(ids(forA));
      expect(ids(got.b)).toEqual(ids(forB));
      await vi.waitFor(async () => expect(await queue.counts(a)).toEqual(idle), PATIENCE);
    });

    test("never handles more at once than the concurrency, over both queues together", async () => {
      const queue = openQueue();
      const workerId = newId<WorkerId>();
      let [now, most, done] = [0, 0, 0];
      for (let at = 0; at < 12; at += 1) await queue.announce(message(), at % 2 ? { workerId } : {});
      openConsumer({
        workerId,
        concurrency: 3,
        handle: async () => {
          now += 1;
          most = Math.max(most, now);
          await sleep(30);
          now -= 1;
          done += 1;
        },
      });
      await vi.waitFor(() => expect(done).toBe(12), PATIENCE);
      expect(most).toBeLessThanOrEqual(3);
      expect(most).toBeGreaterThan(1);
    });

    test("leaves shared messages to others while a worker is busy with its own, and takes them again later", async () => {
      const queue = openQueue();
      const busy = newId<WorkerId>();
      const own = holding();
      openConsumer({ workerId: busy, concurrency: 1, handle: own.handle });
      const forBusy = message();
      await queue.announce(forBusy, { workerId: busy });
      await vi.waitFor(() => expect(own.started).toEqual([forBusy]), PATIENCE);

      const shared = message();
      await queue.announce(shared);
      const got: JobMessage[] = [];
      const helper = openConsumer({ concurrency: 1, handle: async (each) => void got.push(each) });
      await vi.waitFor(() => expect(got).toEqual([shared]), PATIENCE);
      await helper.close();

      const afterwards = message();
      await queue.announce(afterwards);
      own.letAllGo();
      await vi.waitFor(() => expect(own.finished).toEqual([forBusy, afterwards]), PATIENCE);
      await vi.waitFor(async () => expect(await queue.counts()).toEqual(idle), PATIENCE);
      expect(errors).toEqual([]);
    });

    test("drops the message of a handler that throws, tells of it, and goes on", async () => {
      const queue = openQueue();
      const told: { error: unknown; message: JobMessage | undefined }[] = [];
      const got: JobMessage[] = [];
      const [bad, good] = [message(), message()];
      openConsumer({
        concurrency: 1,
        onError: (error, about) => told.push({ error, message: about }),
        handle: async (each) => {
          if (each.jobId === bad.jobId) throw new Error("no luck");
          got.push(each);
        },
      });
      await queue.announce(bad);
      await queue.announce(good);
      await vi.waitFor(() => expect(got).toEqual([good]), PATIENCE);
      await vi.waitFor(async () => expect(await queue.counts()).toEqual(idle), PATIENCE);
      expect(told).toEqual([{ error: expect.objectContaining({ message: "no luck" }), message: bad }]);
    });

    test("refuses to announce what is no message, or carries more than ids", async () => {
      const queue = openQueue();
      const wrong = [
        { v: 2, jobId: newId(), attempt: 0 },
        { v: 1, jobId: "../etc", attempt: 0 },
        { v: 1, jobId: newId(), attempt: -1 },
        { ...message(), password: "hunter2" },
      ];
      for (const each of wrong) {
        await expect(queue.announce(each as JobMessage)).rejects.toMatchObject({ code: "INPUT_INVALID" });
      }
      expect(await queue.counts()).toEqual(idle);
    });

    test("a closing consumer waits for the handlers that run and takes nothing new", async () => {
      const queue = openQueue();
      const workerId = newId<WorkerId>();
      const handler = holding();
      const consumer = openConsumer({ workerId, concurrency: 1, handle: handler.handle });
      const [first, second, third] = [message(), message(), message()];
      await queue.announce(first, { workerId });
      await vi.waitFor(() => expect(handler.started).toEqual([first]), PATIENCE);
      await queue.announce(second, { workerId });
      await queue.announce(third);

      let closed = false;
      const close = async () => {
        await consumer.close();
        closed = true;
      };
      const closing = close();
      await sleep(200);
      expect(closed).toBe(false);
      handler.letGo(first);
      await closing;
      expect(handler.finished).toEqual([first]);
      expect(handler.started).toEqual([first]);
      expect(await queue.counts(workerId)).toEqual({ ...idle, waiting: 1 });
      expect(await queue.counts()).toEqual({ ...idle, waiting: 1 });
    });

    test("a consumer closed with abort tells its handlers so", async () => {
      const queue = openQueue();
      const handler = holding();
      const consumer = openConsumer({ handle: handler.handle });
      const one = message();
      await queue.announce(one);
      await vi.waitFor(() => expect(handler.started).toEqual([one]), PATIENCE);
      await consumer.close({ abort: true });
      expect(handler.finished).toEqual([one]);
    });

    test("a paused consumer takes nothing until it is resumed", async () => {
      const queue = openQueue();
      const workerId = newId<WorkerId>();
      const got: JobMessage[] = [];
      const consumer = openConsumer({ workerId, handle: async (each) => void got.push(each) });
      const [first, shared, own] = [message(), message(), message()];
      await queue.announce(first);
      await vi.waitFor(() => expect(got).toEqual([first]), PATIENCE);
      await consumer.pause();
      await queue.announce(shared);
      await queue.announce(own, { workerId });
      await sleep(300);
      expect(got).toEqual([first]);
      await consumer.resume();
      await vi.waitFor(() => expect(got.length).toBe(3), PATIENCE);
    });

    test("answers a ping", async () => {
      await openQueue().ping();
      await openConsumer({ handle: async () => {} }).ping();
    });
  });
}
