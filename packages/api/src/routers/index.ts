import { router } from "../trpc.ts";
import { auditRouter, authRouter, keysRouter, tokensRouter, workspacesRouter } from "./accounts.ts";
import { adminRouter, systemRouter } from "./admin.ts";
import { checksRouter } from "./checks.ts";
import { jobsRouter, restoresRouter, snapshotsRouter } from "./jobs.ts";
import { alertsRouter, webhooksRouter } from "./notices.ts";
import { packagesRouter } from "./packages.ts";
import { retentionRouter } from "./retention.ts";
import { schedulesRouter, sourcesRouter } from "./sources.ts";
import { storagesRouter } from "./storages.ts";

/** The whole API. Procedures with an `openapi` path are the public REST API too, under `/api/v1`. */
export const appRouter = router({
  auth: authRouter,
  workspaces: workspacesRouter,
  tokens: tokensRouter,
  audit: auditRouter,
  keys: keysRouter,
  sources: sourcesRouter,
  schedules: schedulesRouter,
  jobs: jobsRouter,
  snapshots: snapshotsRouter,
  restores: restoresRouter,
  checks: checksRouter,
  packages: packagesRouter,
  storages: storagesRouter,
  webhooks: webhooksRouter,
  alerts: alertsRouter,
  retention: retentionRouter,
  admin: adminRouter,
  system: systemRouter,
});

export type AppRouter = typeof appRouter;
