import { hostname } from "node:os";
import { resolve } from "node:path";
import { defineConfig, type Environment, loadConfig, secretSetting, setting } from "./config.ts";
import { xvaultHome } from "./home.ts";
import { logLevel } from "./logger.ts";
import { bool, cidrList, count, port, text, url } from "./parsers.ts";
import { checkQueue, queueOf, queueSettings } from "./queue-setting.ts";

const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

const schema = defineConfig(
  {
    hubUrl: setting("XVAULT_HUB_URL", url("http", "https")),
    allowPlainHub: setting("XVAULT_ALLOW_PLAIN_HUB", bool.default(false)),
    storagePath: setting("XVAULT_STORAGE_PATH", text.optional()),
    name: setting(
      "XVAULT_WORKER_NAME",
      text.regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, "must be up to 63 letters, digits, dots, dashes").optional(),
    ),
    enrollmentToken: secretSetting("XVAULT_ENROLLMENT_TOKEN", text.optional()),
    ...queueSettings,
    concurrency: setting("XVAULT_CONCURRENCY", count.default(2)),
    reconnect: setting("XVAULT_RECONNECT", bool.default(true)),
    dataHost: setting("XVAULT_DATA_HOST", text.default("127.0.0.1")),
    dataPort: setting("XVAULT_DATA_PORT", port.default(8421)),
    dataUrl: setting("XVAULT_DATA_URL", url("http", "https").optional()),
    allowPrivate: setting("XVAULT_ALLOW_PRIVATE", bool.optional()),
    allowedRanges: setting("XVAULT_ALLOWED_RANGES", cidrList.default([])),
    logLevel: setting("LOG_LEVEL", logLevel.default("info")),
    mode: setting("NODE_ENV", text.optional()),
  },
  (values, report) => {
    checkQueue(values, report);
    // Credentials and file keys come from there: what is not enciphered needs somebody's word that the network is private.
    const { protocol, hostname: host } = new URL(values.hubUrl ?? "https://hub");
    if (values.mode === "production" && protocol === "http:" && !LOOPBACK.test(host) && values.allowPlainHub !== true) {
      report("XVAULT_HUB_URL", "is not https; set XVAULT_ALLOW_PLAIN_HUB=1 where the network to the hub is private");
    }
    if (!values.queueUrl && !values.redisUrl) report("QUEUE_URL", "is not set (nor is REDIS_URL)");
  },
);

/** Everything that a worker is told from outside. */
export type WorkerConfig = ReturnType<typeof loadWorkerConfig>;

/**
 * Reads the worker's configuration. Throws `CONFIG_INVALID`, naming every problem.
 * - `home`: where the worker keeps its key and state; `storagePath`: where artifacts go, `home` unless it is set.
 * - `dataUrl`: how clients reach the worker's data listener from outside.
 * - `reconnect`: a backup whose link drops goes on over a new one; else it fails, and the job is tried again from its beginning.
 * - `allowPrivate`: loopback and private addresses may be connected to; only outside production unless it is set.
 */
export function loadWorkerConfig(env: Environment = process.env) {
  const { mode, ...values } = loadConfig(schema, env);
  const home = xvaultHome(env);
  const queue = queueOf(values);
  if (!queue) throw new Error("unreachable: the schema demands a queue");
  return {
    ...values,
    home,
    queue,
    storagePath: resolve(values.storagePath ?? home),
    name: values.name ?? hostname(),
    dataUrl: values.dataUrl ?? `http://${values.dataHost}:${values.dataPort}`,
    production: mode === "production",
    allowPrivate: values.allowPrivate ?? mode !== "production",
  };
}
