import type { JobMessage } from "@xvault/contracts";
import type { WorkerId } from "@xvault/kernel";
import type { MessageQueue, OnError, QueueConnection } from "./backend.ts";
import { messageId, parseMessage, queueName } from "./names.ts";
import { openBackend } from "./open-backend.ts";
import { within } from "./within.ts";

const ANSWER_MS = 5000;
const CLOSE_MS = 2000;

export interface JobQueueOptions {
  onError: OnError;
}

export interface QueueCounts {
  waiting: number;
  active: number;
}

/** The hub's end of the queue. Every call throws `UNAVAILABLE` when the queue does not answer within five seconds. */
export interface JobQueue {
  /**
   * Tells any worker, or `workerId` alone, that a job waits. A message is a hint and may be lost: the hub announces again from its
   * database. Announcing an attempt whose message is still there changes nothing; so no message is ever put off to a later time: one
   * that a clock which was ahead had put off would keep every later announcement of its attempt away.
   */
  announce(message: JobMessage, options?: { workerId?: WorkerId }): Promise<void>;
  /** How many messages the shared queue, or that of `workerId`, holds. */
  counts(workerId?: WorkerId): Promise<QueueCounts>;
  /** Removes every message of the shared queue, or of that of a worker which will not come back, taken ones included. */
  obliterate(workerId?: WorkerId): Promise<void>;
  /** Rejects when the queue does not answer. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

/** Opens the hub's end. Returns at once; tables are made (PostgreSQL) when the queue is first used. */
export function createJobQueue(connection: QueueConnection, { onError }: JobQueueOptions): JobQueue {
  const backend = openBackend(connection, onError);
  const queues = new Map<string, Promise<MessageQueue>>();
  let prepared: Promise<void> | undefined;

  /** Remembers success only: a queue that was down at the first call is there at a later one. */
  const prepare = () => {
    prepared ??= backend.ready({ migrate: true }).catch((error: unknown) => {
      prepared = undefined;
      throw error;
    });
    return prepared;
  };
  const open = async (name: string) => {
    await prepare();
    const queue = backend.queue(name);
    await queue.waitUntilReady();
    return queue;
  };
  const queueOf = (workerId?: WorkerId) => {
    const name = queueName(workerId);
    const known = queues.get(name);
    if (known) return known;
    const opened = open(name);
    queues.set(name, opened);
    opened.catch(() => queues.delete(name));
    return opened;
  };
  const answered = <T>(work: Promise<T>) => within(ANSWER_MS, "The queue", work);

  return {
    async announce(message, { workerId } = {}) {
      const checked = parseMessage(message);
      const add = async () => {
        const queue = await queueOf(workerId);
        await queue.add("job", checked, {
          jobId: messageId(checked),
          removeOnComplete: true,
          removeOnFail: true,
        });
      };
      await answered(add());
    },
    async counts(workerId) {
      const count = async () => (await queueOf(workerId)).getJobCounts("waiting", "active");
      const { waiting = 0, active = 0 } = await answered(count());
      return { waiting, active };
    },
    async obliterate(workerId) {
      const remove = async () => (await queueOf(workerId)).obliterate({ force: true });
      await answered(remove());
      queues.delete(queueName(workerId));
    },
    ping: () => answered(backend.ping()),
    async close() {
      const closing = [...queues.values()].map(async (opening) => (await opening).close());
      await within(CLOSE_MS, "The queue", Promise.allSettled(closing)).catch(onError);
      await backend.close();
    },
  };
}
