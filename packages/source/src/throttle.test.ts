import { describe, expect, it } from "vitest";
import { type RateLimit, rateAt, Throttle } from "./throttle.ts";

const at = (text: string) => new Date(text).getTime();
const night = { days: [5], from: "22:00", to: "06:30", timezone: "Europe/Berlin", bytes_per_second: null };

describe("weekly windows", () => {
  it("go by the wall clock of their zone, past midnight too, and leave the rest to the default", () => {
    const limit: RateLimit = { bytesPerSecond: 1000, windows: [night] };
    // 2026-01-02 is a Friday; Berlin is an hour ahead of UTC then.
    expect(rateAt(limit, at("2026-01-02T20:59:59Z"))).toBe(1000);
    expect(rateAt(limit, at("2026-01-02T21:00:00Z"))).toBe(null);
    expect(rateAt(limit, at("2026-01-03T05:29:59Z"))).toBe(null);
    expect(rateAt(limit, at("2026-01-03T05:30:00Z"))).toBe(1000);
    expect(rateAt(limit, at("2026-01-03T21:00:00Z"))).toBe(1000);
    // Two hours in summer.
    expect(rateAt(limit, at("2026-07-03T20:00:00Z"))).toBe(null);
    expect(rateAt(limit, at("2026-07-03T19:59:00Z"))).toBe(1000);
  });

  it("decide in their order", () => {
    const all = { days: [0, 1, 2, 3, 4, 5, 6], from: "00:00", to: "24:00", timezone: "UTC", bytes_per_second: 500 };
    const noon = { ...all, from: "12:00", to: "13:00", bytes_per_second: 50 };
    expect(rateAt({ bytesPerSecond: null, windows: [noon, all] }, at("2026-01-02T12:30:00Z"))).toBe(50);
    expect(rateAt({ bytesPerSecond: null, windows: [all, noon] }, at("2026-01-02T12:30:00Z"))).toBe(500);
    expect(rateAt({ bytesPerSecond: null, windows: [{ ...all, from: "06:00", to: "06:00" }] }, 0)).toBe(500);
    expect(rateAt({ bytesPerSecond: null, windows: [] }, 0)).toBe(null);
  });
});

describe("Throttle", () => {
  const time = () => {
    const clock = { ms: at("2026-01-02T20:59:00Z"), work: [] as (() => void)[] };
    return {
      clock,
      seam: { now: () => clock.ms, later: (_ms: number, work: () => void) => void clock.work.push(work) },
    };
  };

  it("gives a burst, then what the rate allows, and lets a debt be paid back first", () => {
    const { clock, seam } = time();
    const throttle = new Throttle({ bytesPerSecond: 1_000_000, windows: [] }, seam);
    expect(throttle.left()).toBe(500_000);
    throttle.spend(2_500_000);
    expect(throttle.left()).toBe(-2_000_000);
    clock.ms += 1500;
    expect(throttle.left()).toBe(-500_000);
    clock.ms += 700;
    expect(throttle.left()).toBe(200_000);
    clock.ms += 60_000;
    expect(throttle.left()).toBe(500_000);
  });

  it("follows the windows while it is used, and a clock that is set back", () => {
    const { clock, seam } = time();
    const throttle = new Throttle({ bytesPerSecond: 1000, windows: [night] }, seam);
    throttle.spend(64 * 1024);
    expect(throttle.left()).toBe(0);
    clock.ms += 61_000;
    expect(throttle.left()).toBe(Number.POSITIVE_INFINITY);
    throttle.spend(1e9);
    clock.ms += 10 * 3_600_000;
    expect(throttle.left()).toBe(0);
    clock.ms += 2000;
    expect(throttle.left()).toBe(2000);
    clock.ms -= 1000;
    expect(throttle.left()).toBe(2000);
  });

  it("calls back each that waits, once, with one timer", () => {
    const { clock, seam } = time();
    const throttle = new Throttle({ bytesPerSecond: 1000, windows: [] }, seam);
    const called: string[] = [];
    const one = () => void called.push("one");
    throttle.wait(100, one);
    throttle.wait(100, one);
    throttle.wait(100, () => void called.push("other"));
    expect(throttle.holds).toBe(true);
    expect(clock.work.length).toBe(1);
    clock.work.pop()?.();
    expect(called).toEqual(["one", "other"]);
    expect(throttle.holds).toBe(false);
  });
});
