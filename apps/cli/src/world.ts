import type { ReadStream } from "node:tty";
import type { Environment } from "./environment.ts";

/** What a command sees of the process it runs in. */
export interface World {
  environment: Environment;
  stdin: NodeJS.ReadableStream & { isTTY?: boolean };
  stdout: NodeJS.WritableStream & { isTTY?: boolean; columns?: number };
  stderr: NodeJS.WritableStream & { isTTY?: boolean; columns?: number };
  /** Calls `handler` for every Ctrl-C (or SIGTERM) until the returned function is called. */
  onInterrupt(handler: () => void): () => void;
}

/** True when a person can be asked: questions go to stderr, so that stdout may be piped. */
export function isInteractive(world: World): boolean {
  return world.stdin.isTTY === true && world.stderr.isTTY === true;
}

/** The world of this very process. */
export function processWorld(environment: Environment): World {
  const stdin: ReadStream = process.stdin;
  return {
    environment,
    stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    onInterrupt(handler) {
      process.on("SIGINT", handler);
      process.on("SIGTERM", handler);
      return () => {
        process.off("SIGINT", handler);
        process.off("SIGTERM", handler);
      };
    },
  };
}
