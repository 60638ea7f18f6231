import { openDatabase, queueUrl, sql } from "@xvault/db";
import { startEmbeddedPostgres } from "@xvault/db/embedded";
import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type RedisServer, startRedis } from "../redis/index.ts";
import { killFamily } from "./family.ts";
import { type Child, freePort, startChild, until, untilReady } from "./child.ts";
import { type Client, createClient } from "./client.ts";
import { signIn, type SignUpOptions, signUpTenant, type Tenant } from "./tenant.ts";

/** The repository's root folder. */
export const ROOT = join(dirname(fileURLToPath(import.meta.url)), "../../../..");
/** What is run, word for word what the Dockerfiles run (a test compares them). */
export const COMMANDS = {
  hub: ["node", "apps/hub/src/main.ts"],
  worker: ["node", "--max-semi-space-size=4", "--heap-growing-percent=100", "apps/worker/src/main.ts"],
} as const;
/** How a worker's process deals with memory, word for word as in its image. */
export const WORKER_MEMORY = {
  MALLOC_ARENA_MAX: "1",
  MALLOC_MMAP_THRESHOLD_: "8388608",
  MALLOC_TRIM_THRESHOLD_: "1048576",
};

export interface StackOptions {
  queue: "postgres" | "redis";
  /** How many workers run. Default 1. */
  workers?: number;
  /** Further environment of hub and workers; an empty text unsets a variable. */
  env?: { hub?: Record<string, string>; worker?: Record<string, string> };
  /** Folder of another PostgreSQL's `initdb` and `postgres`, such as Debian's. Default: the built-in one. */
  postgres?: string | undefined;
  /** PostgreSQL makes sure of what it has committed, so that it may be killed. */
  durable?: boolean;
}

/** A part of the stack that can be ended and started again in its place. */
export interface StackPart {
  readonly pid: number;
  /** What all its processes wrote. */
  log(): string;
  signal(name: NodeJS.Signals): void;
  /** SIGTERM, and the exit code. */
  stop(): Promise<number | null>;
  /** SIGKILL. */
  kill(): Promise<void>;
  /** Starts it again, at the same address with the same data, and waits until it is ready. */
  start(): Promise<void>;
}

export interface StackWorker extends StackPart {
  name: string;
  /** The id that the hub knows it by. */
  readonly id: string;
  /** Its storage: snapshots lie below `backups` there. */
  home: string;
  dataUrl: string;
}

/** The stack's database server, which can be killed and come back with its data. */
export interface StackPostgres {
  /** SIGKILL to the server and all its processes. */
  kill(): Promise<void>;
  start(): Promise<void>;
}

export interface Stack {
  /** The hub's address. */
  url: string;
  folder: string;
  hub: StackPart;
  workers: StackWorker[];
  redis: RedisServer | undefined;
  postgres: StackPostgres;
  /** URLs of the owner, for dumps. */
  databases: { main: string; queue: string | undefined };
  /** Secrets of the installation. */
  secrets: { kek: string; enrollment: string; adminEmail: string; adminPassword: string; database: string };
  /** Nobody's client. */
  anyone: Client;
  signUp(options?: SignUpOptions): Promise<Tenant>;
  /** Signs the platform admin in. */
  admin(): Promise<Client>;
  /** Asks or changes the database as its owner, past row-level security. Gives the rows. */
  sql<T extends Record<string, unknown>>(strings: TemplateStringsArray, ...values: unknown[]): Promise<T[]>;
  /** Starts one more worker. */
  addWorker(name: string, env?: Record<string, string>): Promise<StackWorker>;
  /** Ends everything by process id and removes every file. */
  stop(): Promise<void>;
}

/**
 * Starts an xVault of its own: PostgreSQL, Redis if that is the queue, one hub, workers; all as processes in production mode, in
 * temporary folders, on free ports, secrets in files. Loopback counts as an allowed range unless `env` says otherwise.
 */
export async function startStack(options: StackOptions): Promise<Stack> {
  const folder = await mkdtemp(join(tmpdir(), "xvault-stack-"));
  const ends: (() => Promise<unknown>)[] = [() => rm(folder, { recursive: true, force: true })];
  const stop = async () => {
    for (const end of ends.splice(0).toReversed()) await end();
  };
  try {
    return { ...(await assemble(folder, options, (end) => ends.push(end))), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function assemble(
  folder: string,
  options: StackOptions,
  onStop: (end: () => Promise<unknown>) => void,
): Promise<Omit<Stack, "stop">> {
  const dataDir = join(folder, "postgres");
  const startPostgres = (port?: number) =>
    startEmbeddedPostgres({
      dataDir,
      throwaway: options.durable !== true,
      ...(port === undefined ? {} : { port }),
      ...(options.postgres ? { binaries: options.postgres } : {}),
    });
  let postgres = await startPostgres();
  onStop(() => postgres.stop());
  const redis = options.queue === "redis" ? await startRedis() : undefined;
  if (redis) onStop(() => redis.stop());

  const secrets = {
    kek: randomBytes(32).toString("base64"),
    enrollment: randomBytes(24).toString("base64url"),
    adminEmail: "admin@example.test",
    adminPassword: `admin ${randomBytes(9).toString("hex")}`,
    database: new URL(postgres.ownerUrl).password,
  };
  mkdirSync(join(folder, "secrets"), { mode: 0o700 });
  const secretFile = (name: string, value: string) => {
    const file = join(folder, "secrets", name);
    writeFileSync(file, `${value}\n`, { mode: 0o600 });
    return file;
  };
  const compiled = process.env["NODE_COMPILE_CACHE"];
  const base = {
    PATH: process.env["PATH"] ?? "",
    HOME: folder,
    NODE_ENV: "production",
    ...(compiled === undefined ? {} : { NODE_COMPILE_CACHE: compiled }),
  };
  const queue = redis ? redis.url : queueUrl(postgres.ownerUrl);
  const queueEnv = { [redis ? "REDIS_URL_FILE" : "QUEUE_URL_FILE"]: secretFile("queue", queue) };

  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const enrollmentFile = secretFile("enrollment", secrets.enrollment);
  const hub = createPart(COMMANDS.hub, `${url}/readyz`, {
    ...base,
    HOST: "127.0.0.1",
    PORT: String(port),
    BASE_URL: `http://localhost:${port}`,
    DATABASE_URL_FILE: secretFile("database", postgres.ownerUrl),
    XVAULT_KEK_FILE: secretFile("kek", secrets.kek),
    XVAULT_ENROLLMENT_TOKEN_FILE: enrollmentFile,
    XVAULT_ADMIN_EMAIL: secrets.adminEmail,
    XVAULT_ADMIN_PASSWORD_FILE: secretFile("admin", secrets.adminPassword),
    ...queueEnv,
    ...options.env?.hub,
  });
  await hub.start();
  onStop(() => hub.stop());

  const workers: StackWorker[] = [];
  const addWorker = async (name: string, env: Record<string, string> = {}): Promise<StackWorker> => {
    const home = join(folder, name);
    mkdirSync(home, { mode: 0o700 });
    const dataPort = await freePort();
    const dataUrl = `http://127.0.0.1:${dataPort}`;
    const part = createPart(COMMANDS.worker, `${dataUrl}/readyz`, {
      ...base,
      ...WORKER_MEMORY,
      XVAULT_HUB_URL: url,
      XVAULT_HOME: home,
      XVAULT_WORKER_NAME: name,
      XVAULT_ENROLLMENT_TOKEN_FILE: enrollmentFile,
      XVAULT_DATA_PORT: String(dataPort),
      XVAULT_DATA_URL: dataUrl,
      XVAULT_ALLOWED_RANGES: "127.0.0.0/8",
      ...queueEnv,
      ...options.env?.worker,
      ...env,
    });
    await part.start();
    onStop(() => part.stop());
    const identity = JSON.parse(readFileSync(join(home, "worker/identity.json"), "utf8")) as { workerId: string };
    const worker: StackWorker = Object.assign(part, { name, home, dataUrl, id: identity.workerId });
    workers.push(worker);
    return worker;
  };
  for (let at = 1; at <= (options.workers ?? 1); at += 1) await addWorker(`worker-${at}`);

  // The owner is a superuser here: what the tests see and change does not pass row-level security.
  const owner = openDatabase({ appUrl: postgres.ownerUrl, systemUrl: postgres.ownerUrl }, { max: 2 });
  onStop(() => owner.close());
  return {
    url,
    folder,
    hub,
    workers,
    redis,
    postgres: {
      kill: () => killFamily(Number(readFileSync(join(dataDir, "data/postmaster.pid"), "utf8").split("\n")[0])),
      start: async () => {
        postgres = await startPostgres(postgres.port);
      },
    },
    databases: {
      main: postgres.ownerUrl,
      queue: redis ? undefined : postgres.ownerUrl.replace(/\/[^/]*$/, new URL(queue).pathname),
    },
    secrets,
    anyone: createClient(url),
    signUp: (signUp) => signUpTenant(url, signUp),
    admin: () => signIn(url, { email: secrets.adminEmail, password: secrets.adminPassword }),
    sql: async <T extends Record<string, unknown>>(strings: TemplateStringsArray, ...values: unknown[]) =>
      owner.withSystem(async (tx) => [...(await tx.execute(sql(strings, ...values)))] as T[]),
    addWorker,
  };
}

/** A process that can come back: one command, one environment, one address at which it says that it is ready. */
function createPart(command: readonly string[], ready: string, wanted: Record<string, string>): StackPart {
  const env = Object.fromEntries(Object.entries(wanted).filter(([, value]) => value !== ""));
  const past: Child[] = [];
  const now = () => {
    const child = past.at(-1);
    if (!child) throw new Error("this part of the stack was not started");
    return child;
  };
  return {
    get pid() {
      return now().pid;
    },
    log: () => past.map((child) => child.log()).join(""),
    signal: (name) => now().signal(name),
    stop: () => now().stop(),
    async kill() {
      now().signal("SIGKILL");
      await now().exit;
    },
    async start() {
      const child = startChild(command, { cwd: ROOT, env });
      past.push(child);
      await untilReady(child, ready);
    },
  };
}

/**
 * Runs a hub or worker that is expected not to start, and gives its exit code and what it said. Ends it when it does start.
 */
export async function failToStart(
  part: keyof typeof COMMANDS,
  env: Record<string, string>,
): Promise<{ code: number | null; said: string }> {
  const child = startChild(COMMANDS[part], { cwd: ROOT, env: { PATH: process.env["PATH"] ?? "", ...env } });
  const started = until(() => child.ended() || / ready"/.test(child.log()));
  await started;
  if (!child.ended()) await child.stop();
  return { code: await child.exit, said: child.log() };
}
