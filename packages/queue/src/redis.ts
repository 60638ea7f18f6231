import type { JobMessage } from "@xvault/contracts";
import { Queue, Worker } from "bullmq";
import { Redis } from "ioredis";
import { type Backend, FEW_EVENTS, KEEP_NOTHING, type OnError } from "./backend.ts";

/** All keys begin with this, so that a Redis user can be confined to `~xvault:*`. */
const PREFIX = "xvault";
const MAX_RETRY_MS = 5000;

/** The queue in Redis. */
export function openRedis(url: string, onError: OnError): Backend {
  const client = new Redis(url, {
    // BullMQ waits for messages with blocking calls, which must outlive a broken connection.
    maxRetriesPerRequest: null,
    retryStrategy: (times) => Math.min(100 * 2 ** Math.min(times, 8), MAX_RETRY_MS),
    connectionName: "xvault-queue",
  });
  client.on("error", (error) => onError(error));
  // ioredis leaves commands unanswered for ever that wait for a connection when it is told to disconnect.
  const closed = Promise.withResolvers<never>();
  closed.promise.catch(() => {});
  const ping = async () => {
    await Promise.race([client.ping(), closed.promise]);
  };

  return {
    ready: ping,
    ping,
    queue(name) {
      const queue = new Queue<JobMessage>(name, { connection: client, prefix: PREFIX, streams: FEW_EVENTS });
      queue.on("error", (error) => onError(error));
      return queue;
    },
    worker(name, take, { workerId, concurrency }) {
      const worker = new Worker<JobMessage>(name, (job, token) => take(job, token ?? ""), {
        connection: client,
        prefix: PREFIX,
        name: workerId,
        concurrency,
        runRetryDelay: 1000,
        ...KEEP_NOTHING,
      });
      worker.on("error", (error) => onError(error));
      return worker;
    },
    async close() {
      client.disconnect();
      closed.reject(new Error("the queue was closed"));
    },
  };
}
