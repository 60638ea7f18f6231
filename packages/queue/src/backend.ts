import type { JobMessage } from "@xvault/contracts";

/** Where the queue lies. The URL carries the password of a role (or Redis user) that sees the queue and nothing else. */
export interface QueueConnection {
  kind: "postgres" | "redis";
  url: string;
}

/** Told of every failure that is handled here. The connection comes back by itself; nobody needs to act on a call. */
export type OnError = (error: unknown, message?: JobMessage) => void;

/** A message as it is held while it is handled. Its data came over a border and is not trusted. */
export interface HeldMessage {
  data: unknown;
  /** Puts it back at the head of its queue; `token` proves that it is ours. */
  moveToWait(token: string): Promise<unknown>;
}

/** Takes one message, held under `token`. */
export type Take = (held: HeldMessage, token: string) => Promise<void>;

/** What we use of BullMQ's queue. */
export interface MessageQueue {
  waitUntilReady(): Promise<unknown>;
  add(
    name: string,
    message: JobMessage,
    options: { jobId: string; removeOnComplete: true; removeOnFail: true },
  ): Promise<unknown>;
  getJobCounts(...states: ("waiting" | "active")[]): Promise<Record<string, number>>;
  obliterate(options: { force: boolean }): Promise<void>;
  close(): Promise<void>;
}

/** What we use of BullMQ's worker. */
export interface MessageWorker {
  isPaused(): boolean;
  isRunning(): boolean;
  pause(doNotWaitActive: boolean): Promise<void>;
  resume(): Promise<void>;
  run(): Promise<void>;
  close(): Promise<void>;
}

/** What both kinds of queue offer. One set of connections is shared by all that is made of it. */
export interface Backend {
  /** Resolves when the queue can be reached and its tables are there; with `migrate`, makes them. Rejects otherwise. */
  ready(options: { migrate: boolean }): Promise<void>;
  /** Rejects when the queue does not answer. */
  ping(): Promise<void>;
  queue(name: string): MessageQueue;
  worker(name: string, take: Take, options: { workerId: string; concurrency: number }): MessageWorker;
  /** Ends all connections, at once. */
  close(): Promise<void>;
}

/** Finished messages go at once: the rows in the hub's database are the record, the queue keeps none. */
export const KEEP_NOTHING = { removeOnComplete: { count: 0 }, removeOnFail: { count: 0 } } as const;

/** BullMQ keeps a stream of events beside each queue, which nobody here reads. */
export const FEW_EVENTS = { events: { maxLen: 100 } } as const;
