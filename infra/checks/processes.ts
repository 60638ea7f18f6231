import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

const STOP_MS = 90_000;

/** A process that a test has started. */
export interface Running {
  /** Everything it has written so far. */
  output(): string;
  /** Resolves when `ready` does with true; rejects with the process's output when that ends first. Asks every 50 ms. */
  until(ready: () => Promise<boolean> | boolean): Promise<void>;
  /** Ends it as a container platform does (SIGTERM) and gives its exit code; null where it had to be killed. */
  stop(): Promise<number | null>;
}

/** Starts a program without stdin. It never outlives the test run. */
export function start(
  program: string,
  args: readonly string[],
  options: { env?: NodeJS.ProcessEnv; cwd?: string } = {},
): Running {
  const child: ChildProcess = spawn(program, args, { ...options, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (text: string) => (output += text));
  }
  child.on("error", (error) => (output += error.message));
  const kill = () => child.kill("SIGKILL");
  process.once("exit", kill);
  child.once("close", () => process.off("exit", kill));
  const ended = () => child.pid === undefined || child.exitCode !== null || child.signalCode !== null;
  return {
    output: () => output,
    async until(ready) {
      while (!(await ready())) {
        if (ended()) throw new Error(`${program} ${args.join(" ")} ended:\n${output}`);
        await sleep(50);
      }
    },
    async stop() {
      if (ended()) return child.exitCode;
      const gone = once(child, "close");
      child.kill("SIGTERM");
      const late = setTimeout(kill, STOP_MS);
      await gone;
      clearTimeout(late);
      return child.exitCode;
    },
  };
}

/** Whether `program` can be run here. `probe` is an argument with which it ends at once. */
export function available(program: string, probe = "--version"): boolean {
  try {
    execFileSync(program, [probe], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/** A TCP port on loopback that nobody uses at the moment. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("no free port was given");
  return address.port;
}

/** True when an HTTP server answers there, whatever it answers. */
export async function answers(url: string): Promise<boolean> {
  return fetch(url).then(
    () => true,
    () => false,
  );
}
