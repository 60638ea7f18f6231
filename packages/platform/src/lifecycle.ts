import type { Environment } from "./config.ts";
import type { Logger } from "./logger.ts";

export interface LifecycleOptions {
  log: Logger;
  /** How long the handlers may take together before the process ends without them. Milliseconds, 30 s unless given. */
  graceMs?: number;
}

/** How a process ends in order. */
export interface Lifecycle {
  /** Aborted as soon as shutdown begins: what waits may stop waiting, new work is not begun. */
  readonly signal: AbortSignal;
  /** Adds a handler. Handlers run one after another, the last added first, each once; a failing one is logged and the next runs. */
  onShutdown(name: string, handler: () => Promise<void> | void): void;
  /** Runs the handlers and ends the process with `exitCode`. Later calls wait for the first. */
  shutdown(reason: string, exitCode?: number): Promise<void>;
}

const SIGNALS = { SIGTERM: 143, SIGINT: 130 } as const;

/** Takes over SIGTERM and SIGINT: the first one shuts down in order, a second one ends the process at once. */
export function createLifecycle({ log, graceMs = 30_000 }: LifecycleOptions): Lifecycle {
  const handlers: { name: string; handler: () => Promise<void> | void }[] = [];
  const aborter = new AbortController();
  let running: Promise<void> | undefined;

  const run = async (reason: string, exitCode: number) => {
    log.info({ reason }, "shutting down");
    aborter.abort();
    const deadline = setTimeout(() => {
      log.error({ graceMs }, "shutdown took too long; ending anyway");
      process.exit(1);
    }, graceMs);
    for (const { name, handler } of handlers.toReversed()) {
      try {
        await handler();
      } catch (error) {
        log.error({ err: error, handler: name }, "a shutdown handler failed");
      }
    }
    clearTimeout(deadline);
    log.info("stopped");
    process.exit(exitCode);
  };

  const lifecycle: Lifecycle = {
    signal: aborter.signal,
    onShutdown: (name, handler) => handlers.push({ name, handler }),
    shutdown: (reason, exitCode = 0) => (running ??= run(reason, exitCode)),
  };
  for (const [signal, code] of Object.entries(SIGNALS)) {
    process.on(signal, () => {
      if (running) process.exit(code);
      void lifecycle.shutdown(signal);
    });
  }
  return lifecycle;
}

/**
 * Ends a child when the supervisor that started it is gone, however it went, so that no process stays behind. The supervisor
 * is noticed by the closing of the IPC channel or, with `XVAULT_SUPERVISED=1`, of standard input. Does nothing elsewhere: a
 * service manager's standard input is often closed from the start.
 */
export function exitWhenParentGone(lifecycle: Lifecycle, env: Environment = process.env): void {
  const leave = () => void lifecycle.shutdown("the supervisor is gone");
  if (process.channel) {
    process.on("disconnect", leave);
    process.channel.unref();
  } else if (env["XVAULT_SUPERVISED"] === "1") {
    process.stdin.on("close", leave).on("end", leave).on("error", leave).resume();
  }
}
