import { describe, expect, test } from "vitest";
import { pattern, put, storeConformance } from "../conformance.suite.ts";
import { createMemoryStore } from "../memory.ts";
import { faulty } from "../test/faulty.ts";
import { throttled } from "./throttled.ts";

const KiB = 1024;

/** Moves on only when somebody waits for it. */
function steppedClock() {
  const time = { ms: 0 };
  const clock = {
    now: () => time.ms,
    later: (ms: number, work: () => void) =>
      void setImmediate(() => {
        time.ms += ms;
        work();
      }),
  };
  return { time, clock };
}

storeConformance("A store without a limit", async () =>
  throttled(createMemoryStore(), { readBytesPerSecond: null, writeBytesPerSecond: null }),
);

storeConformance("A slow store", async () =>
  throttled(createMemoryStore(), {
    readBytesPerSecond: 300 * KiB,
    writeBytesPerSecond: 300 * KiB,
    clock: steppedClock().clock,
  }),
);

describe("bytes pass at the rate", () => {
  test("in, in pieces, over all writers together", async () => {
    const { time, clock } = steppedClock();
    const store = faulty(createMemoryStore());
    const slow = throttled(store, { readBytesPerSecond: null, writeBytesPerSecond: 256 * KiB, clock });
    await Promise.all([put(slow, "a", pattern(1024 * KiB)), put(slow, "b", pattern(1024 * KiB, 1))]);
    // 2 MiB less the burst of 128 KiB.
    expect(time.ms).toBeGreaterThanOrEqual(7500);
    expect(time.ms).toBeLessThan(7600);
    expect(store.reached.filter(({ name }) => name === "write").length).toBe(16);
    expect((await slow.readAll("b", 1024 * KiB)).equals(pattern(1024 * KiB, 1))).toBe(true);
    expect(time.ms).toBeLessThan(7600);
  });

  test("out, whole, the next only when the one before is paid for", async () => {
    const { time, clock } = steppedClock();
    const store = createMemoryStore();
    await put(store, "a", pattern(1024 * KiB));
    const slow = throttled(store, { readBytesPerSecond: 256 * KiB, writeBytesPerSecond: null, clock });
    const reader = await slow.reader("a");
    await reader.read(0, 640 * KiB);
    expect(time.ms).toBe(0);
    await reader.read(0, 1);
    expect(time.ms).toBeGreaterThanOrEqual(2000);
    expect(time.ms).toBeLessThan(2100);
    await slow.readAll("a", 1024 * KiB);
    await slow.readAll("a", 1024 * KiB);
    expect(time.ms).toBeGreaterThanOrEqual(6000);
    expect(time.ms).toBeLessThan(6100);
  });
});
