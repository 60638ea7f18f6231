import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** Longer than any part of xVault takes to end in order. */
const STOP_MS = 90_000;

/** A process of the stack. It never outlives the test run. */
export interface Child {
  readonly pid: number;
  /** Everything it has written so far, standard output and error. */
  log(): string;
  /** True once it is gone. */
  ended(): boolean;
  /** Resolves with the exit code when it is gone; null where a signal ended it. */
  readonly exit: Promise<number | null>;
  signal(name: NodeJS.Signals): void;
  /** Ends it as a container platform does (SIGTERM, woken first if it was stopped) and gives its exit code. */
  stop(): Promise<number | null>;
}

/** Starts a program whose standard input is closed; the IPC channel tells it when the test run is gone. */
export function startChild(command: readonly string[], options: { cwd: string; env: NodeJS.ProcessEnv }): Child {
  const [program = "", ...args] = command;
  const child: ChildProcess = spawn(program === "node" ? process.execPath : program, args, {
    ...options,
    stdio: ["ignore", "pipe", "pipe", "ipc"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (text: string) => (output += text));
  }
  const kill = () => child.kill("SIGKILL");
  process.once("exit", kill);
  const exit = once(child, "close").then(() => {
    process.off("exit", kill);
    return child.exitCode;
  });
  const ended = () => child.exitCode !== null || child.signalCode !== null;
  return {
    pid: child.pid ?? 0,
    log: () => output,
    ended,
    exit,
    signal: (name) => void child.kill(name),
    async stop() {
      if (!ended()) {
        child.kill("SIGCONT");
        child.kill("SIGTERM");
      }
      const late = setTimeout(kill, STOP_MS);
      const code = await exit;
      clearTimeout(late);
      return code;
    },
  };
}

/** Waits until `url` answers 200. Rejects with the child's log when that ends before. */
export async function untilReady(child: Child, url: string): Promise<void> {
  for (;;) {
    const answer = await fetch(url, { signal: AbortSignal.timeout(5000) }).catch(() => null);
    if (answer?.ok) return;
    if (child.ended()) throw new Error(`a process of the stack ended before it was ready:\n${child.log()}`);
    await sleep(50);
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

/** Looks are this far apart at first, and further with each, up to `LAST_LOOK`. Milliseconds. */
const FIRST_LOOK = 40;
const LAST_LOOK = 400;

/**
 * Waits until `probe` gives something truthy, which it returns. Has no limit of its own: the test's limit ends it. Looks less often the
 * longer it takes: each look at a hub takes of the processors that the work waits for.
 */
export async function until<T>(probe: () => Promise<T> | T): Promise<NonNullable<T>> {
  for (let wait = FIRST_LOOK; ; wait = Math.min(LAST_LOOK, wait * 1.25)) {
    const value = await probe();
    if (value) return value;
    await sleep(wait);
  }
}
