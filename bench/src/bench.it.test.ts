// The whole of `npm run bench` over one tiny set: that it runs, not what it measures.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sshdAvailable } from "@xvault/test-kit/ssh";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findPrograms } from "./programs.ts";
import type { Results } from "./results.ts";

const programs = findPrograms();
const absent = (["ssh", "tar", "zstd", "age", "age-keygen"] as const).filter((name) => programs[name] === null);
const missing = sshdAvailable() ?? (absent.length > 0 ? `not installed: ${absent.join(", ")}` : null);

describe.skipIf(missing !== null)(`the benchmark${missing === null ? "" : ` (${missing})`}`, () => {
  let dir: string;
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), "xvault-bench-test-"));
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  const bench = (args: string[]) =>
    spawnSync(process.execPath, [join(import.meta.dirname, "main.ts"), ...args], { encoding: "utf8" });

  it("measures backups, restores and one file, and writes down what it measured", { timeout: 120_000 }, () => {
    const out = join(dir, "results.json");
    const tiny = ["--sets", "small", "--scale", "0.002", "--repeats", "1", "--rtts", "0"];
    const ran = bench([...tiny, "--subjects", "xvault-tar,pipe", "--work-dir", dir, "--out", out]);
    expect(ran.stderr).toBe("");
    expect(ran.status).toBe(0);
    const { rows, extras, failures, sets } = JSON.parse(readFileSync(out, "utf8")) as Results;
    expect(failures).toEqual([]);
    expect(sets).toMatchObject([{ name: "small", files: 40 }]);
    const ofRow = ({ set, rtt_ms, run, subject }: Results["rows"][number]) => `${set} ${rtt_ms} ${run} ${subject}`;
    expect(rows.map(ofRow).toSorted()).toEqual([
      "small 0 first pipe",
      "small 0 first xvault-tar",
      "small 0 second pipe",
      "small 0 second xvault-tar",
    ]);
    for (const row of rows) {
      expect(row.wall_s).toBeGreaterThan(0);
      expect(row.output_mb).toBeGreaterThan(0);
    }
    expect(extras.map(({ what, subject }) => `${what} ${subject}`)).toEqual(
      expect.arrayContaining(["one file xvault", "restore xvault", "one file pipe", "restore pipe"]),
    );
    expect(ran.stdout).toMatch(/\| xVault, remote tar +\| +\d/);
    // The sets, the server, the stores: nothing is left.
    expect(readdirSync(dir)).toEqual(["results.json"]);
  });

  it("says what is wrong with its options", () => {
    expect(bench(["--sets", "huge"]).stderr).toContain("There is no set huge; there are small, large, mixed.");
    expect(bench(["--subjects", "floppy"]).stderr).toContain("There is no subject floppy");
    expect(bench(["--help"]).stdout).toContain("npm run bench -- [options]");
  });
});
