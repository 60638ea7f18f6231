export type { OnError, QueueConnection } from "./backend.ts";
export { createJobConsumer, type JobConsumer, type JobConsumerOptions } from "./job-consumer.ts";
export { createJobQueue, type JobQueue, type JobQueueOptions, type QueueCounts } from "./job-queue.ts";
export { migrateQueue } from "./migrate.ts";
