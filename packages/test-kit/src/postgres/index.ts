import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { migrate, queueUrl } from "@xvault/db";
import { createDatabase, dropDatabase, startEmbeddedPostgres } from "@xvault/db/embedded";
import { randomBytes } from "@xvault/kernel";

declare module "vitest" {
  interface ProvidedContext {
    /** Of the server that `@xvault/test-kit/postgres/setup` started for this run. */
    postgresUrl: string;
  }
}

/** The migrated database that {@link freshDatabase} copies. */
const TEMPLATE = "xvault_template";

export interface TestPostgres {
  /** Owner's URL of the server; hand it to {@link freshDatabase}. */
  baseUrl: string;
  /** Stops the server and removes its files. */
  stop(): Promise<void>;
}

/**
 * Starts one PostgreSQL for a test run, in a temporary folder: the built-in one, or that of `XVAULT_TEST_POSTGRES` (a folder with
 * `initdb` and `postgres`, such as /usr/lib/postgresql/15/bin). With `migrated: false` it stays empty, and {@link freshDatabase} finds nothing to copy.
 */
export async function startTestPostgres(
  options: { binaries?: string; migrated?: boolean } = {},
): Promise<TestPostgres> {
  const folder = await mkdtemp(join(tmpdir(), "xvault-postgres-"));
  const binaries = options.binaries ?? process.env["XVAULT_TEST_POSTGRES"];
  const server = await startEmbeddedPostgres({
    dataDir: join(folder, "server"),
    throwaway: true,
    ...(binaries ? { binaries } : {}),
  });
  if (options.migrated !== false) await migrate(await createDatabase(server.ownerUrl, TEMPLATE), { queue: false });
  return {
    baseUrl: server.ownerUrl,
    stop: async () => {
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

export interface FreshDatabase {
  /** The owner's: `openDatabase(ownerUrl)` gives the roles' handles, `openDatabase({ appUrl: ownerUrl, systemUrl: ownerUrl })` a superuser's. */
  ownerUrl: string;
  /** The queue's own database; undefined unless asked for. */
  queueUrl: string | undefined;
  drop(): Promise<void>;
}

/** A migrated, empty database of its own on the server of {@link startTestPostgres}: one for each test file. */
export async function freshDatabase(
  baseUrl: string,
  { queue = false }: { queue?: boolean } = {},
): Promise<FreshDatabase> {
  const name = `test_${Buffer.from(randomBytes(8)).toString("hex")}`;
  const ownerUrl = await createDatabase(baseUrl, name, TEMPLATE);
  // Rights on a database itself are not copied with it.
  await migrate(ownerUrl, { queue });
  return {
    ownerUrl,
    queueUrl: queue ? queueUrl(ownerUrl) : undefined,
    drop: async () => {
      await dropDatabase(baseUrl, name);
      if (queue) await dropDatabase(baseUrl, `${name}_queue`);
    },
  };
}
