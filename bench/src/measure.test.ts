import { describe, expect, it } from "vitest";
import { cpuOfTimes, measureScript, watchProcess } from "./measure.ts";

const LINUX = process.platform === "linux";

describe("a script", () => {
  it("is measured with all that it starts", async () => {
    // A grandchild that computes and holds 60 MB, in a pipeline as the peers are.
    const work = `node -e 'const held = Buffer.alloc(6e7, 1); const end = process.cpuUsage().user + 4e5;
      while (process.cpuUsage().user < end); console.log(held.length)' | cat`;
    const { stdout, cpu_s, peak_rss_mb, wall_s } = await measureScript(work, {}, 60);
    expect(stdout).toBe("60000000\n");
    expect(cpu_s).toBeGreaterThan(0.4);
    expect(wall_s).toBeGreaterThan(0);
    if (LINUX) expect(peak_rss_mb).toBeGreaterThan(60);
  });

  it("gets values as variables", async () => {
    const { stdout } = await measureScript('echo "$VALUE"', { VALUE: "a '\"b" }, 60);
    expect(stdout).toBe("a '\"b\n");
  });

  it("that fails anywhere in a pipeline throws with what it said", async () => {
    await expect(measureScript("{ echo why >&2; exit 3; } | cat", {}, 60)).rejects.toThrow(/ended with 3: why/);
  });

  it("that takes too long is ended with all that it started", async () => {
    await expect(measureScript("sleep 1000 | cat", {}, 0.2)).rejects.toThrow("not done after 0.2 s");
  });
});

it("adds up what the shell's times say", () => {
  expect(cpuOfTimes("0m0.004s 0m0.001s\n1m2.500s 0m0.250s\n")).toBeCloseTo(62.755);
  expect(cpuOfTimes("")).toBeNull();
});

it.skipIf(!LINUX)("watches what a process that goes on running takes", () => {
  const watched = watchProcess(process.pid);
  const held = Buffer.alloc(40_000_000, 1);
  const end = process.cpuUsage().user + 3e5;
  while (process.cpuUsage().user < end);
  const { cpu_s, peak_rss_mb } = watched.usage();
  expect(cpu_s).toBeGreaterThan(0.2);
  expect(peak_rss_mb).toBeGreaterThan(held.length / 1e6);
});
