import { describe, expect, it } from "vitest";
import { mergeResults } from "./merge.ts";
import type { Results } from "./results.ts";

const row = { rtt_ms: 0, run: "first", subject: "pipe", repeat: 1, cpu_s: 1, peak_rss_mb: 1, output_mb: 1 } as const;
const extra = { what: "one file", subject: "pipe", repeat: 1, cpu_s: 1, peak_rss_mb: 1 } as const;

/** Results of these sets, `mark` standing in every figure. */
const results = (mark: number, sets: string[], rest: Partial<Results> = {}): Results => ({
  at: `2026-01-0${mark}T00:00:00.000Z`,
  seed: "test",
  scale: 1,
  repeats: mark,
  machine: { cpu: "Some CPU", cores: 2, memory_mb: 24_000, kernel: "6.1", node: "v24.0.0", load_before: 0.1 },
  programs: {} as Results["programs"],
  sets: sets.map((name) => ({ name, title: name, files: 1, mb: mark })),
  subjects: { pipe: "a pipe" },
  rows: sets.map((set) => ({ ...row, set, wall_s: mark })),
  extras: sets.map((set) => ({ ...extra, set, wall_s: mark })),
  failures: sets.map((set) => `${set}, 0 ms: ${mark}`),
  ...rest,
});
const memory = (mark: number) => [{ ...extra, what: "memory" as const, set: "many-10", wall_s: mark }];

describe("results that are kept", () => {
  it("are those of the sets that were left out, with what failed there", () => {
    const merged = mergeResults(results(1, ["small", "large"]), results(2, ["small"]));
    const marks = (of: { set: string; wall_s: number }[]) =>
      Object.fromEntries(of.map(({ set, wall_s }) => [set, wall_s]));
    expect(marks(merged.rows)).toEqual({ small: 2, large: 1 });
    expect(marks(merged.extras)).toEqual({ small: 2, large: 1 });
    expect(merged.sets.map(({ name, mb }) => [name, mb])).toEqual([
      ["large", 1],
      ["small", 2],
    ]);
    expect(merged.failures).toEqual(["large, 0 ms: 1", "small, 0 ms: 2"]);
    expect(merged.at).toBe("2026-01-02T00:00:00.000Z");
  });

  it("are the memory of many files, until it is measured anew", () => {
    const before = results(1, [], { extras: memory(1) });
    expect(mergeResults(before, results(2, ["small"])).extras.filter(({ what }) => what === "memory")).toEqual(
      memory(1),
    );
    expect(mergeResults(before, results(2, [], { extras: memory(2) })).extras).toEqual(memory(2));
  });

  it("are refused where they are another machine's or of other sets", () => {
    const now = results(2, ["small"]);
    expect(() => mergeResults({ ...now, machine: { ...now.machine, cores: 4 } }, now)).toThrow("another machine");
    expect(() => mergeResults({ ...now, seed: "other" }, now)).toThrow("other sets");
    expect(() => mergeResults({ ...now, scale: 0.5 }, now)).toThrow("other sets");
  });
});
