import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const START_MS = 15_000;
const STOP_MS = 5000;

/** A Redis server of the test's own, on loopback, keeping nothing. */
export interface RedisServer {
  url: string;
  port: number;
  readonly pid: number;
  /** SIGKILL: it forgets everything. */
  kill(): Promise<void>;
  /** Starts it again where it was, empty. */
  start(): Promise<void>;
  /** Ends the server and removes its directory. */
  stop(): Promise<void>;
}

/** True when this machine has a `redis-server`. */
export function redisAvailable(): boolean {
  try {
    execFileSync("redis-server", ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/** Starts a real `redis-server` and waits until it answers. Give `port` to bring one back where another was. */
export async function startRedis(options: { port?: number } = {}): Promise<RedisServer> {
  const port = options.port ?? (await freePort());
  const directory = await mkdtemp(join(tmpdir(), "xvault-redis-"));
  const output: string[] = [];
  let server: ChildProcess;
  const orphaned = () => server.kill("SIGKILL");
  process.once("exit", orphaned);
  const start = async () => {
    const started = spawn(
      "redis-server",
      ["--port", String(port), "--bind", "127.0.0.1", "--dir", directory, "--save", "", "--appendonly", "no"],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    server = started;
    started.stdout.setEncoding("utf8").on("data", (text: string) => output.push(text));
    await answers(started, port);
  };
  const stop = async () => {
    await end(server, "SIGTERM");
    process.off("exit", orphaned);
    await rm(directory, { recursive: true, force: true });
  };
  try {
    await start();
  } catch (error) {
    await stop();
    throw new Error(`redis-server did not start:\n${output.join("")}`, { cause: error });
  }
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    get pid() {
      return server.pid ?? 0;
    },
    kill: () => end(server, "SIGKILL"),
    start,
    stop,
  };
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const address = probe.address();
  probe.close();
  await once(probe, "close");
  if (address === null || typeof address === "string") throw new Error("no free port was given");
  return address.port;
}

async function answers(server: ChildProcess, port: number): Promise<void> {
  const failed = once(server, "error").then(([error]) => {
    throw error;
  });
  failed.catch(() => {}); // a failure after the start is the test's to notice
  const deadline = Date.now() + START_MS;
  for (;;) {
    if (server.exitCode !== null) throw new Error(`it ended with ${server.exitCode}`);
    if (await Promise.race([pong(port), failed])) return;
    if (Date.now() > deadline) throw new Error(`no answer within ${START_MS} ms`);
    await sleep(20);
  }
}

async function pong(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    socket.write("PING\r\n");
    const [reply] = (await once(socket, "data")) as [Buffer];
    return reply.toString().startsWith("+PONG");
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

async function end(server: ChildProcess, signal: "SIGTERM" | "SIGKILL"): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null || server.pid === undefined) return;
  const gone = once(server, "exit");
  server.kill(signal);
  const late = setTimeout(() => server.kill("SIGKILL"), STOP_MS);
  await gone;
  clearTimeout(late);
}
