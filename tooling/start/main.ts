import { queueUrl, startEmbeddedPostgres } from "@xvault/db/embedded";
import { xvaultHome } from "@xvault/platform";
import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { freePort, isFree } from "./ports.ts";
import { type Part, startPart, untilReady } from "./process.ts";
import { ownSecret } from "./secrets.ts";
import { createShow, StartError } from "./show.ts";
import { ensureWebBuild } from "./web-build.ts";

// `npm start`: everything on one machine. PostgreSQL, hub and worker are processes of their own, the same code as in production.

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const show = createShow();
const { env } = process;
const stops: (() => Promise<void>)[] = [];
let stopping: Promise<never> | undefined;

function stop(code: number): Promise<never> {
  stopping ??= (async () => {
    for (const one of stops.reverse()) await one().catch((error: unknown) => show.line(`  ${String(error)}`));
    process.exit(code);
  })();
  return stopping;
}

process.once("SIGINT", () => {
  show.line("\n  stopping …");
  void stop(0);
});
process.once("SIGTERM", () => void stop(0));
process.once("SIGHUP", () => void stop(0));

/** The part's end is the end of all, unless it was asked for. */
function watch(part: Part): void {
  stops.push(() => part.stop());
  void part.gone.then(() => {
    if (stopping) return;
    show.line(`\n  ✗ the ${part.name} ended unexpectedly. Its last lines:\n${part.tail().join("\n")}`);
    void stop(1);
  });
}

async function start(): Promise<void> {
  const home = xvaultHome();
  const port = Number(env["PORT"] ?? 8420);
  const host = env["HOST"] ?? "127.0.0.1";
  const baseUrl = env["BASE_URL"] ?? `http://localhost:${port}`;
  if (!(await isFree(port, host))) {
    throw new StartError(
      `Port ${port} is taken, by another program or by an xVault that runs already.`,
      `Stop that one, or choose another: PORT=${port + 10} npm start`,
    );
  }
  await mkdir(home, { recursive: true, mode: 0o711 });
  show.line();
  show.line("  xVault");
  const webDir = env["XVAULT_WEB_DIR"] ?? (await ensureWebBuild(root, show));

  const starting = show.step("starting PostgreSQL, hub and worker");
  let databaseUrl = env["DATABASE_URL"];
  if (!databaseUrl) {
    const postgres = await startEmbeddedPostgres({ dataDir: join(home, "postgres") });
    stops.push(() => postgres.stop());
    databaseUrl = postgres.ownerUrl;
  }

  // Compiled once, at the first start; later starts load it ready-made.
  env["NODE_COMPILE_CACHE"] ??= join(home, "cache");
  const enrollment = await ownSecret(home, "enrollment-token");
  const hub = await startPart("hub", [process.execPath, "--max-semi-space-size=16", "apps/hub/src/main.ts"], {
    cwd: root,
    show,
    logFile: join(home, "logs/hub.log"),
    env: {
      ...env,
      PORT: String(port),
      DATABASE_URL: databaseUrl,
      XVAULT_ENROLLMENT_TOKEN: enrollment,
      XVAULT_WEB_DIR: webDir,
      XVAULT_DEMO: env["XVAULT_DEMO"] ?? "1",
      ...(env["XVAULT_KEK"] || env["XVAULT_KEK_FILE"] ? {} : { XVAULT_KEK: await ownSecret(home, "kek") }),
    },
  });
  watch(hub);
  const hubUrl = `http://${host.includes(":") ? `[${host}]` : host === "0.0.0.0" ? "127.0.0.1" : host}:${port}`;

  const dataPort = Number(env["XVAULT_DATA_PORT"] ?? (await freePort(port + 1)));
  // What belongs to the hub alone does not reach the worker.
  const workerEnv = Object.fromEntries(
    Object.entries(env).filter(
      ([name]) => !/^(DATABASE_URL|XVAULT_KEK|XVAULT_ADMIN|XVAULT_DEMO|PORT$|HOST$)/.test(name),
    ),
  );
  const worker = await startPart(
    "worker",
    [process.execPath, "--max-semi-space-size=4", "--heap-growing-percent=100", "apps/worker/src/main.ts"],
    {
      cwd: root,
      show,
      logFile: join(home, "logs/worker.log"),
      env: {
        // As in its image: what is freed is used again, by all threads.
        MALLOC_ARENA_MAX: "1",
        MALLOC_MMAP_THRESHOLD_: "8388608",
        MALLOC_TRIM_THRESHOLD_: "1048576",
        ...workerEnv,
        XVAULT_HUB_URL: hubUrl,
        XVAULT_HOME: home,
        XVAULT_ENROLLMENT_TOKEN: enrollment,
        XVAULT_DATA_PORT: String(dataPort),
        XVAULT_DATA_URL:
          env["XVAULT_DATA_URL"] ?? `${new URL(baseUrl).protocol}//${new URL(baseUrl).hostname}:${dataPort}`,
        ...(env["REDIS_URL"] || env["QUEUE_URL"] ? {} : { QUEUE_URL: queueUrl(databaseUrl) }),
      },
    },
  );
  watch(worker);
  // Loaded while the others start, since it brings an SSH library along.
  const loadingDemo = import("../demo/demo.ts");
  // Both come up at the same time; the worker waits for the hub by itself.
  await untilReady(hub, `${hubUrl}/readyz`);
  await untilReady(worker, `http://127.0.0.1:${dataPort}/readyz`);
  starting.done("PostgreSQL, hub and worker run");

  const { runDemo } = await loadingDemo;
  const demo =
    env["XVAULT_DEMO"] === "0" ? null : await runDemo({ root, home, hubUrl, show, onStop: (end) => stops.push(end) });

  show.line();
  show.line(`  xVault runs at ${baseUrl}`);
  if (demo)
    show.line(`  sign in as ${demo.email} with the password ${demo.password} (the demo workspace), or sign up.`);
  show.line(`  data and logs: ${home}`);
  show.line("  Ctrl-C stops everything.");
  show.line();
}

/** Starts everything and stays until it is stopped. */
export async function main(): Promise<void> {
  await start().catch(async (error: unknown) => {
    if (stopping) return stopping;
    if (error instanceof StartError) show.line(`\n  ✗ ${error.message}\n    ${error.fix}\n`);
    else {
      show.line(`\n  ✗ ${error instanceof Error ? error.message : String(error)}`);
      show.line(`    Logs: ${join(xvaultHome(), "logs")}\n`);
    }
    return stop(1);
  });
}
