import { setTimeout as sleep } from "node:timers/promises";
import type { JobMessage } from "@xvault/contracts";
import type { WorkerId } from "@xvault/kernel";
import { WaitingError } from "bullmq";
import type { HeldMessage, MessageWorker, OnError, QueueConnection } from "./backend.ts";
import { parseMessage, queueName } from "./names.ts";
import { openBackend } from "./open-backend.ts";
import { createSlots } from "./slots.ts";
import { within } from "./within.ts";

const ANSWER_MS = 5000;
const CLOSE_MS = 2000;
const FIRST_RETRY_MS = 250;
const LAST_RETRY_MS = 10_000;

export interface JobConsumerOptions {
  workerId: WorkerId;
  /** How many messages are handled at the same time, over both queues together. */
  concurrency: number;
  /**
   * Handles one message: asks the hub for the lease and does the job. `signal` aborts when the consumer is closed with `abort`.
   * The message is gone when this settles, however it does: only the hub knows whether the job must be announced again.
   */
  handle(message: JobMessage, signal: AbortSignal): Promise<void>;
  /** Told of handlers that threw, of messages that made no sense, and of a connection that broke. */
  onError: OnError;
}

/** A worker's end of the queue. Connects, and reconnects, in the background for as long as it is open. */
export interface JobConsumer {
  /** Takes no more messages; running handlers go on. */
  pause(): Promise<void>;
  /** Takes messages again. */
  resume(): Promise<void>;
  /** Takes no more messages and waits for running handlers, whose signals it aborts first if asked to. */
  close(options?: { abort?: boolean }): Promise<void>;
  /** Rejects when the queue does not answer. */
  ping(): Promise<void>;
}

/** Listens for messages to any worker and to this one. */
export function createJobConsumer(connection: QueueConnection, options: JobConsumerOptions): JobConsumer {
  const { workerId, concurrency, handle, onError } = options;
  const backend = openBackend(connection, onError);
  const slots = createSlots(concurrency);
  const aborter = new AbortController();
  const closing = new AbortController();
  const running = new Set<Promise<void>>();
  let workers: { shared: MessageWorker; own: MessageWorker } | undefined;
  let paused = false;
  /** Places taken by messages to this worker alone. */
  let ownRunning = 0;

  const work = async (held: HeldMessage) => {
    let message: JobMessage | undefined;
    try {
      message = parseMessage(held.data);
      await handle(message, aborter.signal);
    } catch (error) {
      onError(error, message);
    }
  };
  const workInSlot = async (held: HeldMessage) => {
    const task = work(held);
    running.add(task);
    try {
      await task;
    } finally {
      running.delete(task);
      slots.free();
    }
  };
  /**
   * Puts a message back at the head of its queue, where another worker finds it at once. This one does not take it again, as its
   * BullMQ worker is paused or full then; BullMQ takes one more message when it waited for it before it was paused.
   */
  const giveBack = async (held: HeldMessage, token: string): Promise<never> => {
    await held.moveToWait(token);
    throw new WaitingError();
  };
  /**
   * Each queue has a BullMQ worker of the full concurrency. While messages to this worker alone hold places and none is left, the
   * shared queue is not listened on: what arrives there is for workers that have time.
   */
  const adjust = () => {
    const shared = workers?.shared;
    if (!shared || closing.signal.aborted) return;
    const wanted = paused || (slots.full && ownRunning > 0);
    if (wanted && !shared.isPaused()) void shared.pause(true);
    if (!wanted && shared.isPaused()) void resumeWorker(shared);
  };
  const resumeWorker = async (worker: MessageWorker) => {
    await worker.resume();
    // BullMQ's loop may have been on its way out when it was told to go on; then it must be started again.
    setImmediate(() => {
      if (!closing.signal.aborted && !worker.isPaused() && !worker.isRunning()) worker.run().catch(onError);
    });
  };

  const takeShared = async (held: HeldMessage, token: string) => {
    if (paused || !slots.tryTake()) await giveBack(held, token);
    await workInSlot(held);
  };
  const takeOwn = async (held: HeldMessage, token: string) => {
    // Nobody else could take it, so it may as well wait here for a place.
    if (paused || !(await slots.take())) await giveBack(held, token);
    ownRunning += 1;
    adjust();
    try {
      await workInSlot(held);
    } finally {
      ownRunning -= 1;
      adjust();
    }
  };

  /** BullMQ never recovers from a PostgreSQL that was away when it first looked, so its workers are made when it is there. */
  const start = async () => {
    for (let delay = FIRST_RETRY_MS; !closing.signal.aborted; delay = Math.min(delay * 2, LAST_RETRY_MS)) {
      try {
        await backend.ready({ migrate: false });
        if (closing.signal.aborted) return;
        const limits = { workerId, concurrency };
        workers = {
          shared: backend.worker(queueName(), takeShared, limits),
          own: backend.worker(queueName(workerId), takeOwn, limits),
        };
        if (paused) await Promise.all([workers.shared.pause(true), workers.own.pause(true)]);
        return;
      } catch (error) {
        if (closing.signal.aborted) return;
        onError(error);
        await sleep(delay, undefined, { signal: closing.signal }).catch(() => {});
      }
    }
  };
  const started = start();

  const shutDown = async (abort: boolean) => {
    closing.abort();
    slots.shut();
    if (abort) aborter.abort();
    const open = workers ? [workers.shared, workers.own] : [];
    const ended = Promise.allSettled(open.map((worker) => worker.close()));
    await Promise.allSettled(running);
    // The rest is between BullMQ and the queue, which may be away: what it cannot tell it now, a lock that runs out tells.
    await within(CLOSE_MS, "The queue", ended).catch(onError);
    await backend.close();
    await started;
  };
  let closed: Promise<void> | undefined;

  return {
    async pause() {
      paused = true;
      if (workers) await Promise.all([workers.shared.pause(true), workers.own.pause(true)]);
    },
    async resume() {
      paused = false;
      adjust();
      if (workers?.own.isPaused()) await resumeWorker(workers.own);
    },
    close: ({ abort = false } = {}) => (closed ??= shutDown(abort)),
    ping: () => within(ANSWER_MS, "The queue", backend.ping()),
  };
}
