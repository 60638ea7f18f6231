import { type JobMessage, jobMessageSchema } from "@xvault/contracts";
import { isId, type WorkerId, XVaultError } from "@xvault/kernel";

/** Every queue there is, with what it carries: one that all workers share, and one for each worker alone. */
export interface QueuePayloads {
  jobs: JobMessage;
  [perWorker: `jobs.${string}`]: JobMessage;
}

/** The queue that announces to any worker, or to `workerId` alone. BullMQ forbids ':' in names. */
export function queueName(workerId?: WorkerId): keyof QueuePayloads & string {
  if (workerId === undefined) return "jobs";
  if (!isId(workerId)) throw new XVaultError("INPUT_INVALID", "A queue was asked for a worker whose id is not an id.");
  return `jobs.${workerId}`;
}

/** The id of a message in its queue: announcing the same attempt again while its message is there changes nothing. */
export function messageId({ jobId, attempt }: JobMessage): string {
  return `${jobId}.${attempt}`;
}

/** A message, or `INPUT_INVALID`. */
export function parseMessage(value: unknown): JobMessage {
  const parsed = jobMessageSchema.strict().safeParse(value);
  if (!parsed.success)
    throw new XVaultError("INPUT_INVALID", "A message of the queue is not valid.", { cause: parsed.error });
  return parsed.data;
}
