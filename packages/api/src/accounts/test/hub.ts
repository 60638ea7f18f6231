import type { JobUpdate } from "@xvault/contracts";
import { createKeyring, kekId } from "@xvault/crypto";
import { auditLog, type Database, desc, eq, migrate, openDatabase } from "@xvault/db";
import { manualClock, newId, randomBytes, type TenantId } from "@xvault/kernel";
import { createHealth, createLogger } from "@xvault/platform";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { createHttpApp } from "../../http/index.ts";
import { createIdempotencyKeys } from "../../idempotency/service.ts";
import { appRouter } from "../../routers/index.ts";
import type { Services } from "../../services.ts";
import { createAccounts, createTenantVault, loadPlatformKeys, type PlatformKeys, type TenantVault } from "../index.ts";
import { type Answer, Browser } from "./browser.ts";
import { freshDatabase } from "./database.ts";

export const PASSWORD = "a very long pass phrase";

interface Options {
  allowSignup: boolean;
}

/** A hub with the real accounts, HTTP face and database; the clock stands still until it is told to move. */
export interface TestHub {
  url: string;
  db: Database;
  ownerUrl: string;
  clock: ReturnType<typeof manualClock>;
  kek: Buffer;
  vault: TenantVault;
  platformKeys: PlatformKeys;
  credentials(name: string): { email: string; password: string };
  trySignUp(name: string, change?: Record<string, unknown>): Promise<Answer>;
  /** Signs up and returns a browser that is signed in to the new workspace. */
  signUp(name: string, change?: Record<string, unknown>): Promise<Browser>;
  /** The actions in the audit log of the person's own workspace, newest first. */
  auditActions(name: string): Promise<string[]>;
  openStream(browser: Browser): Promise<Stream>;
  /** A second hub on the same database. */
  another(options?: Partial<Options>): Promise<TestHub>;
  close(): Promise<void>;
}

export interface Stream {
  status: number;
  /** What came first. */
  firstEvents(): Promise<string>;
  /** Resolves when the hub has ended the stream. */
  ended: Promise<void>;
  close(): void;
}

export async function startTestHub(): Promise<TestHub> {
  const { ownerUrl, drop } = await freshDatabase();
  await migrate(ownerUrl, { queue: false });
  const hub = await start(ownerUrl, Buffer.from(randomBytes(32)), manualClock(new Date()), { allowSignup: true });
  return {
    ...hub,
    async close() {
      await hub.close();
      await drop();
    },
  };
}

async function start(
  ownerUrl: string,
  kek: Buffer,
  clock: ReturnType<typeof manualClock>,
  options: Options,
): Promise<TestHub> {
  const db = openDatabase(ownerUrl, { max: 4 });
  const keyring = createKeyring({ current: { id: kekId(kek), key: kek } });
  const platformKeys = await loadPlatformKeys({ db, keyring });
  const log = createLogger({ name: "test", level: "silent" });
  const config = { baseUrl: "http://localhost:8420", trustProxy: false as const, allowSignup: options.allowSignup };
  const limits = { perAddress: 10_000, signUpsPerAddress: 10_000 };
  const accounts = createAccounts({ db, keyring, platformKeys, clock, config, version: "0", demo: false, limits });
  const services = { ...accounts, ...streams } as unknown as Services;
  const health = createHealth({ log });
  const { sessions } = accounts;
  const vault = createTenantVault({ keyring });
  const idempotency = createIdempotencyKeys({ db, vault, clock, log });
  const app = createHttpApp({ appRouter, services, sessions, idempotency, config, log, health, version: "0" });
  const server = await new Promise<Server>((resolve) => {
    const listening = app.listen(0, "127.0.0.1", () => resolve(listening));
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  const credentials = (name: string) => ({ email: `${name}@example.org`, password: PASSWORD });
  const signUpInput = (name: string, change: Record<string, unknown> = {}) => ({
    ...credentials(name),
    name,
    workspace_name: `${name}'s workspace`,
    key_mode: "platform",
    ...change,
  });
  const workspaces = new Map<string, TenantId>();

  return {
    url,
    db,
    ownerUrl,
    clock,
    kek,
    vault,
    platformKeys,
    credentials,
    trySignUp: (name, change) => new Browser(url).enter("auth.signUp", signUpInput(name, change)),
    async signUp(name, change) {
      const browser = new Browser(url);
      const answer = await browser.enter("auth.signUp", signUpInput(name, change));
      if (answer.code !== null) throw new Error(`signing up failed: ${answer.text}`);
      workspaces.set(name, browser.workspace as TenantId);
      return browser;
    },
    async auditActions(name) {
      const tenantId = workspaces.get(name);
      if (!tenantId) throw new Error(`nobody signed up as ${name}`);
      const rows = await db.withTenant(tenantId, (tx) =>
        tx.select().from(auditLog).where(eq(auditLog.tenantId, tenantId)).orderBy(desc(auditLog.seq)),
      );
      return rows.map((row) => row.action);
    },
    openStream: (browser) => openStream(url, browser),
    another: (change) => start(ownerUrl, kek, clock, { ...options, ...change }),
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await db.close();
    },
  };
}

/** Jobs belong to other services; this stands for one that never changes, so that a stream stays open. */
const streams = {
  jobs: {
    async *watch(_caller: unknown, _id: string, signal: AbortSignal): AsyncGenerator<JobUpdate, void, undefined> {
      yield { kind: "events", events: [] };
      await new Promise<void>((resolve) => {
        signal.addEventListener("abort", () => resolve(), { once: true });
      });
    },
  },
};

async function openStream(url: string, browser: Browser): Promise<Stream> {
  const params = new URLSearchParams({ input: JSON.stringify({ id: newId() }) });
  if (!browser.token && browser.workspace) {
    params.set("connectionParams", JSON.stringify({ workspace: browser.workspace }));
  }
  const gone = new AbortController();
  const headers = { ...browser.headers(), accept: "text/event-stream" };
  const res = await fetch(`${url}/trpc/jobs.watch?${params}`, { headers, signal: gone.signal });
  const reader = res.body?.getReader();
  const { promise: first, resolve: started } = Promise.withResolvers<string>();
  const ended = (async () => {
    try {
      for (let chunk = await reader?.read(); chunk && !chunk.done; chunk = await reader?.read()) {
        started(Buffer.from(chunk.value).toString("utf8"));
      }
    } catch {
      // Cut off is ended too.
    }
  })();
  return { status: res.status, firstEvents: () => first, ended, close: () => gone.abort() };
}
