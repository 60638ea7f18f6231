import { startEmbeddedPostgres } from "@xvault/db/embedded";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A real PostgreSQL with an empty database, for one test file. */
export async function freshDatabase(): Promise<{ ownerUrl: string; drop: () => Promise<void> }> {
  const home = await mkdtemp(join(tmpdir(), "xvault-api-"));
  const server = await startEmbeddedPostgres({ dataDir: join(home, "pg"), throwaway: true });
  return {
    ownerUrl: server.ownerUrl,
    async drop() {
      await server.stop();
      await rm(home, { recursive: true, force: true });
    },
  };
}
