import { type ChildProcess, spawn } from "node:child_process";
import { createWriteStream } from "node:fs";
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { createInterface } from "node:readline";
import type { Show } from "./show.ts";

/** A part of xVault that runs as a process of its own. */
export interface Part {
  name: string;
  child: ChildProcess;
  /** Resolves when the process is gone. */
  gone: Promise<void>;
  /** The last lines that it logged. */
  tail(): string[];
  stop(): Promise<void>;
}

const KEPT_LINES = 20;
const STOP_GRACE = 30_000;

/** Starts a part. Its log (JSON lines) goes to a file; what it says in plain words goes to the console. */
export async function startPart(
  name: string,
  command: string[],
  options: { cwd: string; env: NodeJS.ProcessEnv; logFile: string; show: Show },
): Promise<Part> {
  await mkdir(dirname(options.logFile), { recursive: true, mode: 0o700 });
  const log = createWriteStream(options.logFile, { flags: "w", mode: 0o600 });
  const [program = process.execPath, ...args] = command;
  // The IPC channel is how the part notices that this process is gone, however it went.
  const child = spawn(program, args, { cwd: options.cwd, env: options.env, stdio: ["ignore", "pipe", "pipe", "ipc"] });
  const kept: string[] = [];
  const keep = (line: string) => {
    kept.push(line);
    if (kept.length > KEPT_LINES) kept.shift();
    log.write(`${line}\n`);
  };
  if (child.stdout) {
    createInterface({ input: child.stdout }).on("line", (line) =>
      line.startsWith("{") ? keep(line) : options.show.line(line),
    );
  }
  if (child.stderr) createInterface({ input: child.stderr }).on("line", keep);
  const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  return {
    name,
    child,
    gone,
    tail: () => [...kept],
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), STOP_GRACE);
      await gone;
      clearTimeout(timer);
    },
  };
}

/** Waits until `url` answers 200. Rejects when the part ends before. */
export async function untilReady(part: Part, url: string): Promise<void> {
  let over = false;
  void part.gone.then(() => {
    over = true;
  });
  while (!over) {
    const answer = await fetch(url, { signal: AbortSignal.timeout(5000) }).catch(() => null);
    if (answer?.ok) return;
    await new Promise((resolve) => setTimeout(resolve, 40));
  }
  throw new Error(`${part.name} ended before it was ready:\n${part.tail().join("\n")}`);
}
