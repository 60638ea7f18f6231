import { describe, expect, it } from "vitest";
import { sourceOptionsSchema, updateSourceInput } from "./sources.ts";

describe("a change of a source", () => {
  it("names only what it changes: no default resets the port or an option", () => {
    const change = {
      id: "0190b6f0-0000-7000-8000-000000000000",
      connection: { username: "backup" },
      options: { one_file_system: true },
    };
    expect(updateSourceInput.parse(change)).toEqual(change);
    expect(updateSourceInput.parse({ ...change, options: {} }).options).toEqual({});
  });
});

describe("a source's options", () => {
  it("are what they were for a source that has none of the newer ones", () => {
    expect(sourceOptionsSchema.parse({})).toEqual({ one_file_system: false, transport: "auto" });
  });

  it("keep filters and limits, and let a change take one back", () => {
    const options = {
      exclude_if_present: [".nobackup", "CACHEDIR.TAG"],
      min_file_bytes: null,
      max_file_bytes: 1_000_000_000,
      newer_than_seconds: 86_400,
      older_than_seconds: null,
      bytes_per_second: 1_000_000,
      bandwidth: [{ days: [1, 5], from: "22:00", to: "06:30", timezone: "Europe/Berlin", bytes_per_second: null }],
    };
    expect(sourceOptionsSchema.parse(options)).toMatchObject(options);
    const id = "0190b6f0-0000-7000-8000-000000000000";
    expect(updateSourceInput.parse({ id, options: { max_file_bytes: null } }).options).toEqual({
      max_file_bytes: null,
    });
  });

  it("refuse what cannot be meant", () => {
    const window = { days: [1], from: "22:00", to: "24:00", timezone: "UTC", bytes_per_second: 50_000 };
    const bad = [
      { exclude_if_present: ["a/b"] },
      { exclude_if_present: [".."] },
      { exclude_if_present: ["a\0"] },
      { max_file_bytes: -1 },
      { newer_than_seconds: 1.5 },
      { bytes_per_second: 0 },
      { bandwidth: [{ ...window, days: [] }] },
      { bandwidth: [{ ...window, days: [7] }] },
      { bandwidth: [{ ...window, from: "24:00" }] },
      { bandwidth: [{ ...window, to: "6:00" }] },
      { bandwidth: [{ ...window, timezone: "Mars/Olympus" }] },
      { bandwidth: [{ ...window, bytes_per_second: 10 }] },
    ];
    for (const options of bad)
      expect(sourceOptionsSchema.safeParse(options).success, JSON.stringify(options)).toBe(false);
    expect(sourceOptionsSchema.safeParse({ bandwidth: [window] }).success).toBe(true);
  });
});
