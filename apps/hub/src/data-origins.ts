import { type Database, ne, workers } from "@xvault/db";
import type { Logger } from "@xvault/platform";

/** How often the registry of workers is looked at, in milliseconds. */
const EVERY = 5000;

/**
 * The origins of the workers' data listeners, which browsers must be allowed to fetch from: those that are configured and those that
 * registered workers name. Looked up in the background, so that answering a page needs no database.
 */
export function createDataOrigins(
  db: Database,
  configured: readonly string[],
  log: Logger,
): { current(): string[]; stop(): Promise<void> } {
  let origins = [...configured];
  const look = async () => {
    try {
      const rows = await db.withSystem((tx) =>
        tx.select({ url: workers.dataUrl }).from(workers).where(ne(workers.state, "revoked")),
      );
      origins = [...new Set([...configured, ...rows.map((row) => new URL(row.url).origin)])];
    } catch (error) {
      log.warn({ err: error }, "the workers' origins could not be looked up");
    }
  };
  let looking = look();
  const timer = setInterval(() => {
    looking = looking.then(look);
  }, EVERY);
  return {
    current: () => origins,
    stop: async () => {
      clearInterval(timer);
      await looking;
    },
  };
}
