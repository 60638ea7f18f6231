import { type ReportProblem, secretSetting } from "./config.ts";
import { url } from "./parsers.ts";
import type { Secret } from "./secret.ts";

/** Where the queue lies. Same shape as the queue package's connection, with the URL still hidden. */
export interface QueueSetting {
  kind: "postgres" | "redis";
  url: Secret;
}

/** `QUEUE_URL` (PostgreSQL or Redis) and `REDIS_URL`, of which one is enough. */
export const queueSettings = {
  queueUrl: secretSetting("QUEUE_URL", url("postgres", "postgresql", "redis", "rediss").optional()),
  redisUrl: secretSetting("REDIS_URL", url("redis", "rediss").optional()),
};

interface QueueUrls {
  queueUrl?: Secret | undefined;
  redisUrl?: Secret | undefined;
}

/** Reports two queues that differ: jobs announced to one would never be seen on the other. */
export function checkQueue({ queueUrl, redisUrl }: QueueUrls, report: ReportProblem): void {
  if (queueUrl && redisUrl && queueUrl.reveal() !== redisUrl.reveal()) {
    report("QUEUE_URL", "names another queue than REDIS_URL; set only one of them");
  }
}

/** The queue that the two variables name, if any. */
export function queueOf({ queueUrl, redisUrl }: QueueUrls): QueueSetting | undefined {
  const chosen = queueUrl ?? redisUrl;
  if (!chosen) return undefined;
  return { kind: chosen.reveal().startsWith("postgres") ? "postgres" : "redis", url: chosen };
}
