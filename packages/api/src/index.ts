export {
  type Accounts,
  createAccounts,
  createTenant,
  createTenantVault,
  ensurePlatformAdmin,
  loadPlatformKeys,
  type PlatformKeys,
} from "./accounts/index.ts";
export { createCheckService } from "./checks/service.ts";
export { createAdminService } from "./admin/service.ts";
export type { ServiceDeps } from "./deps.ts";
export { createHttpApp, openApiDocument } from "./http/index.ts";
export { createIdempotencyKeys } from "./idempotency/service.ts";
export { createJobFeed, type JobFeed } from "./jobs/feed.ts";
export { createPackageService } from "./packages/service.ts";
export { createScheduler, type Scheduler } from "./jobs/scheduler.ts";
export { createJobService } from "./jobs/service.ts";
export { createAlertService } from "./notices/alert-service.ts";
export { createCourier } from "./notices/courier.ts";
export { createWebhookService } from "./notices/webhook-service.ts";
export { createTierLifecycle } from "./retention/lifecycle.ts";
export { createRetentionService } from "./retention/service.ts";
export { type AppRouter, appRouter } from "./routers/index.ts";
export { createScheduleService } from "./schedules/service.ts";
export type { Services } from "./services.ts";
export { createSnapshotService } from "./snapshots/service.ts";
export { createStorageService } from "./storages/service.ts";
export { createSourceService } from "./sources/service.ts";
export { createWorkerRouter } from "./workers/protocol.ts";
