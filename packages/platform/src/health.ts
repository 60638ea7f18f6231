import type { Lifecycle } from "./lifecycle.ts";
import type { Logger } from "./logger.ts";

/** What a health endpoint answers: an HTTP status and a body for JSON. It names parts, never addresses or error texts. */
export interface HealthAnswer {
  status: 200 | 503;
  body: { status: "ok" | "failing" | "stopping"; checks?: Record<string, "ok" | "failing"> };
}

/** Whether a process lives (`/healthz`) and whether it can do its work (`/readyz`). */
export interface Health {
  /** Adds a check: it resolves when the part works, and rejects or takes longer than `timeoutMs` (2 s) when not. */
  check(name: string, probe: () => Promise<unknown> | unknown, timeoutMs?: number): void;
  /** For `/healthz`: that an answer comes at all is the answer. */
  live(): HealthAnswer;
  /** For `/readyz`: 200 when every check passes, 503 when one fails or the process is shutting down. */
  ready(): Promise<HealthAnswer>;
}

/** Makes the health answers of one process. Failures are logged when they begin and when they end, not at every probe. */
export function createHealth({ log, lifecycle }: { log: Logger; lifecycle?: Lifecycle }): Health {
  const checks = new Map<string, { probe: () => Promise<unknown> | unknown; timeoutMs: number; failing: boolean }>();

  return {
    check(name, probe, timeoutMs = 2000) {
      checks.set(name, { probe, timeoutMs, failing: false });
    },
    live: () => ({ status: 200, body: { status: "ok" } }),
    async ready() {
      if (lifecycle?.signal.aborted) return { status: 503, body: { status: "stopping" } };
      const results = await Promise.all(
        [...checks].map(async ([name, check]) => {
          const error = await attempt(check.probe, check.timeoutMs);
          if (error !== null && !check.failing) log.warn({ err: error, check: name }, "a health check began to fail");
          if (error === null && check.failing) log.info({ check: name }, "a health check passes again");
          check.failing = error !== null;
          return [name, error === null ? "ok" : "failing"] as const;
        }),
      );
      const failing = results.some(([, result]) => result === "failing");
      return {
        status: failing ? 503 : 200,
        body: { status: failing ? "failing" : "ok", checks: Object.fromEntries(results) },
      };
    },
  };
}

async function attempt(probe: () => Promise<unknown> | unknown, timeoutMs: number): Promise<Error | null> {
  let timer: NodeJS.Timeout | undefined;
  try {
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
    });
    await Promise.race([Promise.resolve().then(probe), late]);
    return null;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  } finally {
    clearTimeout(timer);
  }
}
