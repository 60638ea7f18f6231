import { describe, expect, test } from "vitest";
import { createHealth } from "./health.ts";
import { createLogger } from "./logger.ts";

function bench() {
  const lines: string[] = [];
  const log = createLogger({ name: "test", destination: { write: (line) => void lines.push(line) } });
  const aborter = new AbortController();
  const lifecycle = { signal: aborter.signal, onShutdown: () => {}, shutdown: async () => {} };
  return { health: createHealth({ log, lifecycle }), lines, stop: () => aborter.abort() };
}

describe("health", () => {
  test("is ready when every check passes, and names those that do not, without saying why to strangers", async () => {
    const { health, lines } = bench();
    let broken = false;
    health.check("database", async () => {
      if (broken) throw new Error("connect to 10.0.0.5 failed");
    });
    health.check("queue", () => true);
    expect(await health.ready()).toEqual({
      status: 200,
      body: { status: "ok", checks: { database: "ok", queue: "ok" } },
    });
    broken = true;
    const failing = { status: 503, body: { status: "failing", checks: { database: "failing", queue: "ok" } } };
    expect(await health.ready()).toEqual(failing);
    expect(await health.ready()).toEqual(failing);
    broken = false;
    expect((await health.ready()).status).toBe(200);
    expect(lines.length).toBe(2);
    expect(lines[0]).toContain("10.0.0.5");
  });

  test("a check that never answers fails", async () => {
    const { health } = bench();
    health.check("stuck", () => new Promise(() => {}), 20);
    expect((await health.ready()).body.checks).toEqual({ stuck: "failing" });
  });

  test("a process that stops is alive and not ready", async () => {
    const { health, stop } = bench();
    stop();
    expect(health.live().status).toBe(200);
    expect(await health.ready()).toEqual({ status: 503, body: { status: "stopping" } });
  });
});
