import {
  appRouter,
  createAccounts,
  createAdminService,
  createAlertService,
  createCourier,
  createCheckService,
  createHttpApp,
  createIdempotencyKeys,
  createJobFeed,
  createJobService,
  createRetentionService,
  createTierLifecycle,
  createScheduler,
} from "@xvault/api";
import {
  createScheduleService,
  createPackageService,
  createSnapshotService,
  createSourceService,
  createStorageService,
  createTenantVault,
  createWebhookService,
  createWorkerRouter,
} from "@xvault/api";
import { ensurePlatformAdmin, loadPlatformKeys, type ServiceDeps } from "@xvault/api";
import { createKeyring, kekId, parseKek } from "@xvault/crypto";
import { migrate, openDatabase, queueUrl } from "@xvault/db";
import { systemClock, XVaultError } from "@xvault/kernel";
import {
  createAddressPolicy,
  createHealth,
  createLifecycle,
  createLogger,
  exitWhenParentGone,
  loadHubConfig,
} from "@xvault/platform";
import { createJobQueue, migrateQueue, type QueueConnection } from "@xvault/queue";
import { once } from "node:events";
import { createServer } from "node:http";
import { createDataOrigins } from "./data-origins.ts";
import { VERSION } from "./version.ts";

/** Starts a hub: checks its configuration, brings the database up to date, wires the services, and listens. */
export async function startHub(): Promise<void> {
  const config = loadHubConfig();
  const log = createLogger({ name: "hub", level: config.logLevel });
  const lifecycle = createLifecycle({ log });
  exitWhenParentGone(lifecycle);
  const health = createHealth({ log, lifecycle });
  const clock = systemClock;

  const ownerUrl = config.databaseUrl?.reveal();
  if (!ownerUrl) throw new XVaultError("CONFIG_INVALID", "DATABASE_URL is not set.");
  await migrate(ownerUrl);
  const db = openDatabase(ownerUrl);
  lifecycle.onShutdown("database", () => db.close());

  const kek = (text: string) => {
    const key = parseKek(text);
    return { id: kekId(key), key };
  };
  const keyring = createKeyring({
    current: kek(config.kek.reveal()),
    previous: (config.kekPrevious?.reveal() ?? []).map(kek),
  });
  const platformKeys = await loadPlatformKeys({ db, keyring });

  const connection: QueueConnection = config.queue
    ? { kind: config.queue.kind, url: config.queue.url.reveal() }
    : { kind: "postgres", url: queueUrl(ownerUrl) };
  if (connection.kind === "postgres") await migrateQueue(connection.url);
  const queue = createJobQueue(connection, {
    onError: (error) => log.error({ err: error }, "the queue had a problem"),
  });
  lifecycle.onShutdown("queue", () => queue.close());
  const feed = await createJobFeed(db);
  lifecycle.onShutdown("job feed", () => feed.close());

  const accounts = createAccounts({
    db,
    keyring,
    platformKeys,
    clock,
    config,
    version: VERSION,
    demo: config.demo,
    log,
  });
  const deps: ServiceDeps = {
    db,
    queue,
    feed,
    vault: createTenantVault({ keyring }),
    keyring,
    platformKeys,
    clock,
    log,
  };
  const dataOrigins = createDataOrigins(db, config.workerDataOrigins, log);
  lifecycle.onShutdown("data origins", () => dataOrigins.stop());

  const admin = await ensurePlatformAdmin(
    { email: config.adminEmail, password: config.adminPassword?.reveal() },
    { db, clock },
  );
  if (admin?.password) {
    // The one secret that is printed, once, because nobody could sign in without it. Not through the log, which is kept.
    process.stdout.write(`\nPlatform admin: ${admin.email}\nPassword (shown once): ${admin.password}\n\n`);
  }

  const courier = createCourier(deps, { policy: createAddressPolicy(config) });

  const jobs = createJobService(deps);
  const app = createHttpApp({
    appRouter,
    services: {
      ...accounts,
      sources: createSourceService(deps),
      schedules: createScheduleService(deps),
      jobs,
      checks: createCheckService(deps, jobs),
      snapshots: createSnapshotService(deps),
      packages: createPackageService(deps),
      storages: createStorageService(deps, config),
      webhooks: createWebhookService(deps, courier),
      alerts: createAlertService(deps),
      retention: createRetentionService(deps, { version: VERSION }),
      admin: createAdminService(deps),
    },
    sessions: accounts.sessions,
    idempotency: createIdempotencyKeys(deps),
    config,
    log,
    health,
    version: VERSION,
    dataOrigins: dataOrigins.current,
    webDir: config.webDir,
    workerRouter: createWorkerRouter(deps, {
      presetToken: config.enrollmentToken?.reveal(),
      webOrigins: config.webOrigins,
    }),
  });

  const scheduler = createScheduler(deps);
  scheduler.start();
  lifecycle.onShutdown("scheduler", () => scheduler.stop());
  const tiers = createTierLifecycle(deps, { everyMs: config.lifecycleSeconds * 1000 });
  tiers.start();
  lifecycle.onShutdown("tier lifecycle", () => tiers.stop());
  courier.start();
  lifecycle.onShutdown("courier", () => courier.stop());

  health.check("database", () => db.ping());
  health.check("queue", () => queue.ping());

  const server = createServer(app);
  server.listen(config.port, config.host);
  await once(server, "listening");
  lifecycle.onShutdown("http", async () => {
    const closed = new Promise((resolve) => server.close(resolve));
    // Event streams never end by themselves.
    server.closeAllConnections();
    await closed;
  });
  log.info({ url: config.baseUrl, version: VERSION }, "hub ready");
}
