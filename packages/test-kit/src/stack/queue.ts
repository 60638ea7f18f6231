import type { JobMessage } from "@xvault/contracts";
import type { WorkerId } from "@xvault/kernel";
import { createJobQueue } from "@xvault/queue";
import { allRows } from "./dump.ts";
import { talkToRedis } from "./redis-talk.ts";
import type { Stack } from "./stack.ts";

/** Puts a message into the queue behind the hub's back: for any worker, or for one. */
export async function announce(stack: Stack, message: JobMessage, workerId?: string): Promise<void> {
  const { redis, databases } = stack;
  const queue = createJobQueue(
    redis ? { kind: "redis", url: redis.url } : { kind: "postgres", url: databases.queue ?? "" },
    { onError: () => {} },
  );
  try {
    await queue.announce(message, workerId === undefined ? {} : { workerId: workerId as WorkerId });
  } finally {
    await queue.close();
  }
}

/** Everything that the queue holds, in Redis or in every table of its database, for searching. */
export async function queueContents(stack: Stack): Promise<Buffer> {
  if (stack.redis) {
    const redis = await talkToRedis(stack.redis.port);
    try {
      return await redis.everything();
    } finally {
      redis.close();
    }
  }
  return allRows(stack.databases.queue ?? "");
}
