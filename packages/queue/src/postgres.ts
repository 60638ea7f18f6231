import type { JobMessage } from "@xvault/contracts";
import {
  assertSchemaCompatibility,
  createPostgresBackend,
  DEFAULT_SCHEMA,
  type PgPool,
  runMigrations,
  withBackend,
} from "bullmq";
import pg from "pg";
import { type Backend, FEW_EVENTS, KEEP_NOTHING, type OnError } from "./backend.ts";

const bound = withBackend(createPostgresBackend);

/** BullMQ finds its tables by the search path of the pool's connections. */
const SEARCH_PATH = `-c search_path="${DEFAULT_SCHEMA}"`;

/** The queue in PostgreSQL, in a schema of its own. */
export function openPostgres(url: string, onError: OnError): Backend {
  // A consumer holds one connection per queue to listen on; the rest serve queries.
  const pool = new pg.Pool({
    connectionString: url,
    options: SEARCH_PATH,
    max: 6,
    keepAlive: true,
    connectionTimeoutMillis: 5000,
    application_name: "xvault-queue",
  });
  pool.on("error", (error) => onError(error));
  // BullMQ declares its own, looser types of pg's pool, which pg's overloads do not satisfy on paper.
  const connection = pool as unknown as PgPool;

  return {
    async ready({ migrate }) {
      const client = await pool.connect();
      try {
        if (migrate) await runMigrations(client, DEFAULT_SCHEMA);
        else await assertSchemaCompatibility(client, DEFAULT_SCHEMA);
      } finally {
        client.release();
      }
    },
    async ping() {
      await pool.query("SELECT 1");
    },
    queue(name) {
      const queue = new bound.Queue<JobMessage>(name, { connection, streams: FEW_EVENTS });
      queue.on("error", (error) => onError(error));
      return queue;
    },
    worker(name, take, { workerId, concurrency }) {
      const worker = new bound.Worker<JobMessage>(name, (job, token) => take(job, token ?? ""), {
        connection,
        name: workerId,
        concurrency,
        runRetryDelay: 1000,
        ...KEEP_NOTHING,
      });
      worker.on("error", (error) => onError(error));
      return worker;
    },
    close: () => pool.end(),
  };
}
