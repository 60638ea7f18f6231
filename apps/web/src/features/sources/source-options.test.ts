import { type SourceOptions, sourceOptionsSchema } from "@xvault/contracts";
import { describe, expect, it } from "vitest";
import { formOfOptions, linesOfPaths, newWindow, optionsInWords, optionsOfForm, problemsOf } from "./source-options.ts";

const MIB = 1024 * 1024;
const FULL: Required<SourceOptions> = {
  one_file_system: true,
  transport: "sftp",
  exclude_if_present: [".nobackup", "CACHEDIR.TAG"],
  min_file_bytes: 1,
  max_file_bytes: 3 * 1024 * MIB,
  newer_than_seconds: 30 * 86_400,
  older_than_seconds: 90,
  bytes_per_second: 1_500_000,
  bandwidth: [
    { days: [1, 2, 3, 4, 5], from: "08:00", to: "18:00", timezone: "Europe/Berlin", bytes_per_second: MIB },
    { days: [0, 6], from: "22:00", to: "06:30", timezone: "UTC", bytes_per_second: null },
  ],
  canaries: ["/srv/never-changed"],
};
const empty = () => formOfOptions({});

describe("the form of a source's options", () => {
  it("gives back what it was given, to the byte", () => {
    expect(optionsOfForm(formOfOptions(FULL))).toEqual(FULL);
    expect(sourceOptionsSchema.parse(optionsOfForm(formOfOptions(FULL)))).toEqual(FULL);
    expect(formOfOptions(FULL).largest).toEqual({ amount: "3", unit: 1024 * MIB });
  });

  it("empty, names every option as no limit, so that a limit can be taken away", () => {
    expect(optionsOfForm(empty())).toEqual({
      one_file_system: false,
      transport: "auto",
      exclude_if_present: [],
      min_file_bytes: null,
      max_file_bytes: null,
      newer_than_seconds: null,
      older_than_seconds: null,
      bytes_per_second: null,
      bandwidth: [],
      canaries: [],
    });
    expect(problemsOf(empty())).toEqual({});
  });

  it("shows the day's last moment as the midnight that it is", () => {
    const [window] = FULL.bandwidth ?? [];
    const bandwidth = [{ ...window, days: [1], from: "00:00", to: "24:00" }] as typeof FULL.bandwidth;
    expect(formOfOptions({ bandwidth }).windows[0]).toMatchObject({ from: "00:00", to: "00:00" });
  });

  it("takes parts of a unit, with either sign for them", () => {
    for (const amount of ["1.5", "1,5"]) {
      expect(optionsOfForm({ ...empty(), largest: { amount, unit: MIB } }).max_file_bytes).toBe(1.5 * MIB);
    }
  });

  it("says at the field what cannot be", () => {
    const size = (amount: string) => ({ amount, unit: MIB });
    expect(problemsOf({ ...empty(), smallest: size("a lot") })).toHaveProperty("smallest");
    expect(problemsOf({ ...empty(), smallest: size("-1") })).toHaveProperty("smallest");
    expect(problemsOf({ ...empty(), smallest: size("2"), largest: size("1") })).toHaveProperty("largest");
    expect(problemsOf({ ...empty(), smallest: size("2"), largest: size("2") })).toEqual({});
    const age = (amount: string) => ({ amount, unit: 86_400 });
    expect(problemsOf({ ...empty(), newest: age("1"), oldest: age("2") })).toHaveProperty("oldest");
    expect(problemsOf({ ...empty(), newest: age("2"), oldest: age("1") })).toEqual({});
    expect(problemsOf({ ...empty(), rate: { amount: "1000", unit: 1 } })).toHaveProperty("rate");
    expect(problemsOf({ ...empty(), markers: ["a/b"] })).toHaveProperty("markers");
    expect(problemsOf({ ...empty(), canaries: ["/srv/a", "srv/b"] })).toEqual({
      canaries: "srv/b is not an absolute path without '..'.",
    });
    const many = Array.from({ length: 21 }, (_, at) => `/srv/${at}`);
    expect(problemsOf({ ...empty(), canaries: many })).toEqual({ canaries: "At most 20 files." });
    expect(problemsOf({ ...empty(), largest: { amount: "9".repeat(20), unit: MIB } })).toHaveProperty("form");
  });

  it("reads canaries line by line, cleaned where they are paths", () => {
    expect(linesOfPaths("/srv//a/\n\n  /srv/with blank \r\n/srv/a\n../b")).toEqual([
      "/srv/a",
      "/srv/with blank",
      "../b",
    ]);
  });

  it("names the window that is wrong", () => {
    const windows = [newWindow("UTC"), { ...newWindow("UTC"), days: [], to: "", rate: { amount: "0", unit: 1 } }];
    expect(Object.keys(problemsOf({ ...empty(), windows })).sort()).toEqual([
      "windows.1.days",
      "windows.1.rate",
      "windows.1.times",
    ]);
  });
});

describe("a source's options in words", () => {
  it("tells what differs from the usual alone", () => {
    expect(optionsInWords({ one_file_system: false, transport: "auto" })).toEqual([]);
    expect(optionsInWords(optionsOfForm(empty()))).toEqual([]);
    expect(optionsInWords(FULL)).toEqual([
      "Folders that hold .nobackup or CACHEDIR.TAG are taken without what is in them.",
      "Files smaller than 1 B are left out.",
      "Files larger than 3.00 GiB are left out.",
      "Only files changed within 30 days.",
      "Only files not changed for 90 seconds.",
      "Other mounted file systems are left out.",
      "Read over SFTP alone.",
      "Read at up to 1.43 MiB/s.",
      "Read at up to 1.00 MiB/s Mon–Fri 08:00–18:00 (Europe/Berlin).",
      "Read at full speed Sat, Sun 22:00–06:30 (UTC).",
      "Nothing expires once a canary changes: /srv/never-changed.",
    ]);
  });
});
