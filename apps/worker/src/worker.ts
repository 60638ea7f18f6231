import type { WorkerOutput } from "@xvault/contracts";
import type { WorkerId } from "@xvault/kernel";
import {
  createAddressPolicy,
  createHealth,
  createLifecycle,
  createLogger,
  exitWhenParentGone,
  loadWorkerConfig,
} from "@xvault/platform";
import { createJobConsumer } from "@xvault/queue";
import { openLocalStore } from "@xvault/storage";
import { once } from "node:events";
import type { WorkerContext } from "./context.ts";
import { createDataListener } from "./data/listener.ts";
import { createHubClient } from "./hub-client.ts";
import { loadIdentity } from "./identity.ts";
import { runJob } from "./jobs/run-job.ts";
import { settleLeftovers } from "./leftovers.ts";
import { deliverReceipts } from "./receipts.ts";
import { createUploadDesk } from "./uploads/desk.ts";
import { VERSION } from "./version.ts";

/** How often the worker tells the hub that it lives, in milliseconds. */
const HELLO = 10_000;

/** Starts a worker: enrols it if need be, removes leftovers, opens the data listener, and takes jobs. */
export async function startWorker(): Promise<void> {
  const config = loadWorkerConfig();
  const log = createLogger({ name: "worker", level: config.logLevel });
  const lifecycle = createLifecycle({ log, graceMs: 60_000 });
  exitWhenParentGone(lifecycle);
  const health = createHealth({ log, lifecycle });

  const hub = createHubClient(config.hubUrl);
  const store = await openLocalStore({ root: config.storagePath });
  const facts = async () => ({
    version: VERSION,
    capabilities: { engines: "archive", transports: "tar,sftp", node: process.version },
    storage_base_path: config.storagePath,
    data_url: config.dataUrl,
    concurrency: config.concurrency,
    free_bytes: await store.freeBytes().catch(() => null),
  });

  const identity = await loadIdentity(
    config.home,
    config.enrollmentToken?.reveal(),
    async ({ token, publicKey, proof }) =>
      hub.insist(
        "enrol",
        { token, name: config.name, public_key: publicKey, proof, ...(await facts()) },
        lifecycle.signal,
      ),
  );
  hub.identify(identity);
  let standing: WorkerOutput<"hello"> = await hub.insist("hello", await facts(), lifecycle.signal);

  const context: WorkerContext = {
    config,
    identity,
    hub,
    store,
    policy: createAddressPolicy(config),
    log,
    standing: () => standing,
  };
  await deliverReceipts(context);
  await settleLeftovers(context);

  const uploads = createUploadDesk(context, lifecycle.signal);
  lifecycle.onShutdown("uploads", () => uploads.ended());
  const listener = createDataListener(context, health, uploads);
  listener.listen(config.dataPort, config.dataHost);
  await once(listener, "listening");
  lifecycle.onShutdown("data listener", async () => {
    listener.closeAllConnections();
    await new Promise((resolve) => listener.close(resolve));
  });

  const consumer = createJobConsumer(
    { kind: config.queue.kind, url: config.queue.url.reveal() },
    {
      workerId: identity.workerId as WorkerId,
      concurrency: config.concurrency,
      handle: (message, signal) => runJob(context, message, signal),
      onError: (error, message) => log.error({ err: error, jobId: message?.jobId }, "the queue had a problem"),
    },
  );
  lifecycle.onShutdown("jobs", () => consumer.close({ abort: true }));

  const greeting = setInterval(async () => {
    try {
      standing = await hub.call("hello", await facts());
    } catch (error) {
      log.warn({ err: error }, "the hub did not answer");
    }
  }, HELLO);
  lifecycle.onShutdown("hello", () => clearInterval(greeting));

  health.check("queue", () => consumer.ping());
  health.check("storage", () => store.freeBytes());
  log.info({ workerId: identity.workerId, storage: config.storagePath, data: config.dataUrl }, "worker ready");
}
