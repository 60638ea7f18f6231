import type { TestProject } from "vitest/node";
import { startTestPostgres } from "./index.ts";

/** For `globalSetup` of a vitest configuration: one PostgreSQL for the run, its URL by `inject("postgresUrl")`. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const server = await startTestPostgres();
  project.provide("postgresUrl", server.baseUrl);
  return server.stop;
}
