import { z } from "zod";
import { defineConfig, type Environment, loadConfig, secretSetting, setting } from "./config.ts";
import { logLevel } from "./logger.ts";
import { bool, cidrList, count, key32, key32List, originList, port, text, trustedProxies, url } from "./parsers.ts";
import { checkQueue, queueOf, queueSettings } from "./queue-setting.ts";

const schema = defineConfig(
  {
    port: setting("PORT", port.default(8420)),
    host: setting("HOST", text.default("127.0.0.1")),
    baseUrl: setting("BASE_URL", url("http", "https").optional()),
    trustProxy: setting("TRUST_PROXY", trustedProxies.default(false)),
    databaseUrl: secretSetting("DATABASE_URL", url("postgres", "postgresql").optional()),
    ...queueSettings,
    kek: secretSetting("XVAULT_KEK", key32),
    kekPrevious: secretSetting("XVAULT_KEK_PREVIOUS", key32List.optional()),
    adminEmail: setting("XVAULT_ADMIN_EMAIL", z.email("must be an e-mail address").optional()),
    adminPassword: secretSetting("XVAULT_ADMIN_PASSWORD", text.optional()),
    logLevel: setting("LOG_LEVEL", logLevel.default("info")),
    mode: setting("NODE_ENV", text.optional()),
    webDir: setting("XVAULT_WEB_DIR", text.optional()),
    workerDataOrigins: setting("XVAULT_DATA_ORIGINS", originList.default([])),
    allowPrivate: setting("XVAULT_ALLOW_PRIVATE", bool.optional()),
    allowedRanges: setting("XVAULT_ALLOWED_RANGES", cidrList.default([])),
    allowSignup: setting("XVAULT_SIGNUP", bool.default(true)),
    workspaceRclone: setting("XVAULT_WORKSPACE_RCLONE", bool.optional()),
    demo: setting("XVAULT_DEMO", bool.default(false)),
    lifecycleSeconds: setting("XVAULT_LIFECYCLE_SECONDS", count.default(300)),
    enrollmentToken: secretSetting(
      "XVAULT_ENROLLMENT_TOKEN",
      text.min(24, "must have 24 characters or more").optional(),
    ),
  },
  (values, report) => {
    checkQueue(values, report);
    if (values.adminEmail && !values.adminPassword)
      report("XVAULT_ADMIN_PASSWORD", "is not set, but XVAULT_ADMIN_EMAIL is");
    if (values.adminPassword && !values.adminEmail)
      report("XVAULT_ADMIN_EMAIL", "is not set, but XVAULT_ADMIN_PASSWORD is");
    if (values.mode === "production" && !values.databaseUrl) report("DATABASE_URL", "is not set");
  },
);

/** Everything that a hub is told from outside. */
export type HubConfig = ReturnType<typeof loadHubConfig>;

/**
 * Reads the hub's configuration. Throws `CONFIG_INVALID`, naming every problem.
 * - `baseUrl`: what people type into the browser, without a slash at the end; `http://localhost:PORT` unless `BASE_URL` is set.
 * - `queue`: from `QUEUE_URL` or `REDIS_URL`; undefined when neither is set.
 * - `enrollmentToken`: a token set beforehand, with which any number of workers may enrol (for compose files).
 * - `webOrigins`: where browsers load the web interface from; on the own machine both of its names.
 * - `lifecycleSeconds`: how often the rules of retention are gone through.
 * - `demo`: this installation shows the demo workspace.
 * - `allowPrivate`, `allowedRanges`: where webhooks may lead: to loopback and private addresses only outside production unless it is set, and
 *   to these ranges in any case.
 * - `workspaceRclone`: workspaces may add rclone remotes of their own. rclone resolves names and follows redirects by itself, so that such a
 *   remote reaches whatever the workers' network does: only where private addresses are allowed anyway, unless it is set.
 * - `workerDataOrigins`: origins that the browser may fetch backup bytes from, besides the hub's own.
 */
export function loadHubConfig(env: Environment = process.env) {
  const { mode, ...values } = loadConfig(schema, env);
  const baseUrl = values.baseUrl ?? `http://localhost:${values.port}`;
  return {
    ...values,
    baseUrl,
    webOrigins: originsOf(baseUrl),
    queue: queueOf(values),
    production: mode === "production",
    allowPrivate: values.allowPrivate ?? mode !== "production",
    workspaceRclone: values.workspaceRclone ?? values.allowPrivate ?? mode !== "production",
  };
}

function originsOf(baseUrl: string): string[] {
  const { origin, protocol, hostname, port } = new URL(baseUrl);
  const twin = hostname === "localhost" ? "127.0.0.1" : hostname === "127.0.0.1" ? "localhost" : null;
  return twin ? [origin, `${protocol}//${twin}${port ? `:${port}` : ""}`] : [origin];
}
