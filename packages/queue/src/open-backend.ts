import type { Backend, OnError, QueueConnection } from "./backend.ts";
import { openPostgres } from "./postgres.ts";
import { openRedis } from "./redis.ts";

/** Opens the backend that the connection names. Connects in the background. */
export function openBackend(connection: QueueConnection, onError: OnError): Backend {
  return connection.kind === "postgres" ? openPostgres(connection.url, onError) : openRedis(connection.url, onError);
}
