export { findSecrets, newCanary } from "./canary.ts";
export { type Child, freePort, startChild, until, untilReady } from "./child.ts";
export { type Answer, type Client, createClient, Refusal } from "./client.ts";
export { allRows, debianPostgres, dumpDatabase } from "./dump.ts";
export { forgeToken } from "./forge.ts";
export { type Gate, startGate } from "./gate.ts";
export { announce, queueContents } from "./queue.ts";
export { type RedisTalk, talkToRedis } from "./redis-talk.ts";
export {
  COMMANDS,
  failToStart,
  ROOT,
  type Stack,
  type StackOptions,
  type StackPart,
  type StackWorker,
  startStack,
  WORKER_MEMORY,
} from "./stack.ts";
export { addMember, addSource, backUp, signIn, type SignUpOptions, type Tenant } from "./tenant.ts";
export { enrolVoice, type GrantedBackup, type WorkerVoice } from "./voice.ts";
