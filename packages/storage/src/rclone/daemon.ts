import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { Socket } from "node:net";
import { createInterface } from "node:readline";
import { randomBytes, XVaultError } from "@xvault/kernel";
import { rcloneError, type Scrub } from "./failures.ts";

export interface DaemonOptions {
  program: string;
  /** The whole environment of the process: the remote's configuration, and nothing of ours unless it is given here. */
  environment: Readonly<Record<string, string>>;
  /** It ends after so long without a call, and is started again by the next. */
  idleMs: number;
  signal?: AbortSignal | undefined;
  scrub: Scrub;
}

/** Where the process listens, and what it lets in. */
export interface DaemonAddress {
  port: number;
  authorization: string;
}

export interface Daemon {
  /** Runs `work` with a process that listens; starts it where that is needed. */
  use<T>(work: (address: DaemonAddress) => Promise<T>): Promise<T>;
  /** True once it is not started again. */
  readonly closed: boolean;
  /** Ends the process. It is not started again. */
  close(): Promise<void>;
}

const START_MS = 30_000;
const LISTENS = /Serving remote control on http:\/\/127\.0\.0\.1:(\d+)\//;
const ARGUMENTS = [
  ["rcd", "--config", "", "--rc-addr", "127.0.0.1:0", "--rc-serve"],
  // An upload is one request, however long it takes.
  ["--rc-server-read-timeout", "8760h", "--rc-server-write-timeout", "8760h"],
  // Answers are kept for polling, which nobody here does.
  ["--rc-job-expire-duration", "1s", "--rc-job-expire-interval", "1s"],
  // Ranges are read, not whole files: no reading ahead. One transfer's worth of buffers.
  ["--buffer-size", "0", "--transfers", "1", "--use-mmap"],
  ["--contimeout", "20s", "--timeout", "2m", "--low-level-retries", "3", "--ask-password=false"],
].flat();
/** Takes the process along when this one is killed outright. */
const SETPRIV = "/usr/bin/setpriv";

const running = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/** One `rclone rcd` on loopback behind a random password, kept while it is used: starting it takes half a second, and it keeps its connections. */
export function createDaemon(options: DaemonOptions): Daemon {
  let started: Promise<{ address: DaemonAddress; child: ChildProcess }> | null = null;
  let users = 0;
  let idle: NodeJS.Timeout | undefined;
  let closed = false;

  const stop = async () => {
    clearTimeout(idle);
    const current = started;
    started = null;
    const child = await current?.then(
      (one) => one.child,
      () => undefined,
    );
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    await new Promise((resolve) => {
      child.ref();
      child.once("exit", resolve);
      child.kill("SIGKILL");
    });
  };
  const close = async () => {
    closed = true;
    options.signal?.removeEventListener("abort", aborted);
    await stop();
  };
  const aborted = () => void close();
  if (options.signal?.aborted) closed = true;
  options.signal?.addEventListener("abort", aborted, { once: true });

  const start = () => {
    const starting = startProcess(options).then((one) => {
      one.child.once("exit", () => {
        if (started === starting) started = null;
      });
      if (one.child.exitCode !== null && started === starting) started = null;
      return one;
    });
    starting.catch(() => {
      if (started === starting) started = null;
    });
    return starting;
  };

  return {
    get closed() {
      return closed;
    },
    async use(work) {
      clearTimeout(idle);
      users += 1;
      try {
        for (let again = false; ; again = true) {
          if (closed) throw new XVaultError("CANCELLED", "The connection to this storage was closed.");
          const current = (started ??= start());
          try {
            return await work((await current).address);
          } catch (error) {
            // It ended, which was not heard of yet. Nothing has been sent to it.
            if (again || !isRefused(error)) throw error;
            if (started === current) started = null;
          }
        }
      } finally {
        users -= 1;
        if (users === 0 && !closed) idle = setTimeout(() => void stop(), options.idleMs).unref();
      }
    },
    close,
  };
}

function isRefused(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof Error && "code" in cause && cause.code === "ECONNREFUSED";
}

async function startProcess({
  program,
  environment,
  scrub,
}: DaemonOptions): Promise<{ address: DaemonAddress; child: ChildProcess }> {
  const [user, password] = [randomBytes(16), randomBytes(32)].map((bytes) => Buffer.from(bytes).toString("base64url"));
  const child = spawnTied(program, ARGUMENTS, {
    ...environment,
    RCLONE_RC_USER: `${user}`,
    RCLONE_RC_PASS: `${password}`,
  });
  let last = "";
  const port = await new Promise<number>((resolve, reject) => {
    const slow = setTimeout(() => {
      child.kill("SIGKILL");
      reject(rcloneError("start rclone", "", last));
    }, START_MS);
    child.once("error", (cause) => {
      clearTimeout(slow);
      reject(notInstalled(program, cause));
    });
    child.once("exit", () => {
      clearTimeout(slow);
      running.delete(child);
      // Where setpriv cannot start the program it says so and ends.
      reject(/failed to execute/.test(last) ? notInstalled(program) : rcloneError("start rclone", "", last));
    });
    // Read to its end: a full pipe would stop the process.
    createInterface({ input: child.stderr as NodeJS.ReadableStream }).on("line", (line) => {
      last = scrub(line);
      const listens = LISTENS.exec(line);
      if (!listens) return;
      clearTimeout(slow);
      resolve(Number(listens[1]));
    });
  });
  const authorization = `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;
  return { child, address: { port, authorization } };
}

function notInstalled(program: string, cause?: unknown): XVaultError {
  return new XVaultError("STORAGE_FAILED", `The program '${program}' could not be started on this worker.`, {
    fix: "Have the operator install rclone on the worker.",
    retry: false,
    cause,
  });
}

/** Starts a program without a shell that does not keep this process alive, and does not outlive it. */
function spawnTied(program: string, args: readonly string[], env: Record<string, string>): ChildProcess {
  const tied = existsSync(SETPRIV);
  const child = tied
    ? spawn(SETPRIV, ["--pdeathsig", "KILL", "--", program, ...args], { env, stdio: ["ignore", "ignore", "pipe"] })
    : spawn(program, args, { env, stdio: ["ignore", "ignore", "pipe"] });
  running.add(child);
  child.unref();
  if (child.stderr instanceof Socket) child.stderr.unref();
  return child;
}

/** A password as rclone's configuration wants it. It goes in and comes out by pipes: nothing of it is on the command line. */
export async function obscure(
  program: string,
  environment: Readonly<Record<string, string>>,
  password: string,
): Promise<string> {
  return new Promise<string>((resolve, reject) => {
    const child = spawn(program, ["obscure", "-", "--config", ""], {
      env: environment,
      stdio: ["pipe", "pipe", "ignore"],
    });
    let output = "";
    child.once("error", (cause) => reject(notInstalled(program, cause)));
    child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
    child.stdin.on("error", () => {}); // seen by the exit code
    child.once("close", (code) => {
      if (code === 0 && output.trim() !== "") resolve(output.trim());
      else reject(rcloneError("obscure a password", "", ""));
    });
    child.stdin.end(password);
  });
}
