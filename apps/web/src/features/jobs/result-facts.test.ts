import { describe, expect, it } from "vitest";
import { resultFacts } from "./result-facts.ts";

const backup = { type: "backup", files: 1054, plain_bytes: 6 * 1024, size_bytes: 2048, problems: 0 };
const words = (result: Record<string, unknown> | null) =>
  Object.fromEntries(resultFacts(result).map(({ label, text }) => [label, text]));

describe("what a job did, in words", () => {
  it("a backup tells what it did not have to read again", () => {
    expect(words({ ...backup, unchanged_files: 1052, unchanged_bytes: 5 * 1024 })).toEqual({
      Files: "1,054, 1,052 unchanged since the last run",
      "Size of all files": "6.00 KiB",
      "Read from the source": "1.00 KiB",
      "Stored, compressed and encrypted": "2.00 KiB",
      Problems: "0",
    });
  });

  it("a backup that read everything, or that does not say, speaks of no earlier run", () => {
    for (const result of [backup, { ...backup, unchanged_files: 0, unchanged_bytes: 0 }]) {
      expect(words(result)).toMatchObject({ Files: "1,054", "Read from the source": "6.00 KiB" });
      expect(words(result)).not.toHaveProperty("Size of all files");
    }
  });

  it("a removal tells the space that came back", () => {
    expect(words({ type: "expire", freed_bytes: 3 * 1024 * 1024 })).toEqual({ "Space freed": "3.00 MiB" });
  });

  it("a job without a result tells nothing", () => {
    expect(resultFacts(null)).toEqual([]);
    expect(resultFacts({ type: "of a later version" })).toEqual([]);
  });
});
