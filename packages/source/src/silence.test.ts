import { setTimeout as sleep } from "node:timers/promises";
import { XVaultError } from "@xvault/kernel";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { isStall, quietReadMs, SilenceWatch, stallError, USUAL_SILENCE } from "./silence.ts";

describe("SilenceWatch", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  function watched(limitMs = 10_000) {
    const state = { limitMs, waiting: true, stalls: [] as number[] };
    const watch = new SilenceWatch({
      limitMs: () => state.limitMs,
      waiting: () => state.waiting,
      onStall: (ms) => state.stalls.push(ms),
    });
    return { state, watch };
  }

  it("tells once of a silence as long as the limit", () => {
    const { state } = watched();
    vi.advanceTimersByTime(10_000);
    expect(state.stalls).toEqual([]);
    vi.advanceTimersByTime(60_000);
    expect(state.stalls).toEqual([10_000]);
  });

  it("begins anew with everything that is heard, and with every wait", () => {
    const { state, watch } = watched();
    for (let time = 0; time < 10; time++) {
      vi.advanceTimersByTime(9000);
      watch.heard();
    }
    for (let time = 0; time < 10; time++) {
      vi.advanceTimersByTime(9000);
      state.waiting = false;
      vi.advanceTimersByTime(60_000);
      state.waiting = true;
    }
    expect(state.stalls).toEqual([]);
    vi.advanceTimersByTime(11_000);
    expect(state.stalls.length).toBe(1);
  });

  it("goes by the limit as it is then", () => {
    const { state } = watched();
    state.limitMs = 3_600_000;
    vi.advanceTimersByTime(3_600_000);
    expect(state.stalls).toEqual([]);
    state.limitMs = 10_000;
    vi.advanceTimersByTime(5000);
    expect(state.stalls.length).toBe(1);
  });

  it("does not count what our own process was held up for", async () => {
    vi.useRealTimers();
    const { state, watch } = watched(1000);
    await sleep(250);
    for (const until = performance.now() + 1200; performance.now() < until;);
    await sleep(1);
    watch.stop();
    expect(state.stalls).toEqual([]);
  });

  it("is over when it is stopped", () => {
    const { state, watch } = watched();
    watch.stop();
    vi.advanceTimersByTime(60_000);
    expect(state.stalls).toEqual([]);
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe("a stall", () => {
  it("says who was silent, for how long, and after what", () => {
    expect(stallError("It", 900_000, Buffer.from("/srv/a")).message).toBe(
      "It sent nothing for 15 minutes after '/srv/a'.",
    );
    expect(stallError("It", USUAL_SILENCE.answer).message).toBe("It sent nothing for 2 minutes.");
    expect(stallError("It", 119_000).message).toBe("It sent nothing for 119 seconds.");
    expect(stallError("It", 900).message).toBe("It sent nothing for 1 second.");
  });

  it("is told from a link that broke", () => {
    expect(isStall(stallError("It", 1))).toBe(true);
    expect(isStall(new XVaultError("CONNECTION_LOST"))).toBe(false);
    expect(isStall(new Error("It sent nothing."))).toBe(false);
  });
});

it("a file of 500 GB may be read for a day", () => {
  expect(quietReadMs(500e9) / 3_600_000).toBeCloseTo(27.8, 1);
});
