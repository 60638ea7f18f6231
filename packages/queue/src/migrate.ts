import { XVaultError } from "@xvault/kernel";
import { openPostgres } from "./postgres.ts";

/**
 * Makes or updates the queue's tables in a PostgreSQL whose role owns its database. Safe to run by several processes at once.
 * `UNAVAILABLE` when that was not possible.
 */
export async function migrateQueue(url: string): Promise<void> {
  const backend = openPostgres(url, () => {});
  try {
    await backend.ready({ migrate: true });
  } catch (error) {
    throw new XVaultError("UNAVAILABLE", "The queue's tables could not be made.", { cause: error });
  } finally {
    await backend.close();
  }
}
