import type { JobMessage } from "@xvault/contracts";
import { openDatabase, sql } from "@xvault/db";
import type { WorkerId } from "@xvault/kernel";
import { createJobQueue } from "@xvault/queue";
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
  const url = stack.databases.queue ?? "";
  const database = openDatabase({ appUrl: url, systemUrl: url }, { max: 1 });
  try {
    return await database.withSystem(async (tx) => {
      const tables = await tx.execute<{ name: string }>(sql`
        select format('%I.%I', table_schema, table_name) as name from information_schema.tables
        where table_type = 'BASE TABLE' and table_schema not in ('pg_catalog', 'information_schema')`);
      const texts: string[] = [];
      for (const { name } of tables) {
        const rows = await tx.execute<{ row: string }>(sql`select t::text as row from ${sql.raw(name)} t`);
        texts.push(`${name}\n`, ...rows.map(({ row }) => `${row}\n`));
      }
      return Buffer.from(texts.join(""));
    });
  } finally {
    await database.close();
  }
}
