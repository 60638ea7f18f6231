import type { JobProgress } from "@xvault/contracts";
import { describe, expect, it } from "vitest";
import { progressLine, statusFields } from "./progress-line.ts";

const PROGRESS: JobProgress = {
  step: "pull",
  files_done: 12,
  files_total: 40,
  bytes_done: 50 * 1024 * 1024,
  bytes_total: 200 * 1024 * 1024,
  percent: 25,
  rate: 10 * 1024 * 1024,
  eta_seconds: 15,
  current_path: "/srv/a/very/long/path/that/does/not/fit/at/all/file.txt",
};

describe("progressLine", () => {
  it("tells step, share, amount, rate, time left and path", () => {
    expect(progressLine(PROGRESS, 200)).toBe(
      "pull  [#####---------------]  25.0 %  50.0 MiB of 200 MiB  12 files  10.0 MiB/s  ETA 15 s  " +
        PROGRESS.current_path,
    );
  });

  it("never gets wider than the terminal, and the end of the path is what stays", () => {
    for (const columns of [40, 80, 100, 120])
      expect(progressLine(PROGRESS, columns).length).toBeLessThanOrEqual(columns);
    expect(progressLine(PROGRESS, 120)).toMatch(/…[^…]*file\.txt$/);
  });

  it("leaves out what is not known, and escapes what the terminal would obey", () => {
    const unknown = {
      ...PROGRESS,
      percent: null,
      bytes_total: null,
      rate: null,
      eta_seconds: null,
      current_path: "/a\u001B[2J",
    };
    expect(progressLine(unknown, 200)).toBe("pull  50.0 MiB  12 files  /a\\x1b[2J");
  });
});

describe("statusFields", () => {
  it("has the names that programs know from other backup programs", () => {
    expect(statusFields(PROGRESS, 1000, 4000)).toMatchObject({
      percent_done: 0.25,
      bytes_done: PROGRESS.bytes_done,
      total_bytes: PROGRESS.bytes_total,
      seconds_elapsed: 3,
      seconds_remaining: 15,
    });
    expect(statusFields(null, 0, 0)).toMatchObject({ percent_done: null, bytes_done: 0 });
  });
});
