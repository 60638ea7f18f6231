import { spawn } from "node:child_process";
import { lstatSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** What a run took. Seconds; megabytes of 1,000,000 bytes. Null where the system does not tell. */
export interface Usage {
  wall_s: number;
  cpu_s: number | null;
  peak_rss_mb: number | null;
}

const POLL_MS = 20;
const PAGE = 4096;
const TICKS_PER_SECOND = 100;
const MEGABYTE = 1_000_000;

/**
 * Runs a bash script to its end and measures it with all that it starts: CPU as the shell's `times` adds it up, memory as the largest sum
 * of resident sets seen, read every 20 ms. Values reach the script as environment variables, so that nothing needs quoting.
 *
 * Throws with the end of its standard error when it fails, or is not done after `limitS` seconds.
 */
export async function measureScript(
  script: string,
  env: Record<string, string>,
  limitS: number,
): Promise<Usage & { stdout: string }> {
  const wrapped = `set -o pipefail\n( ${script}\n)\ncode=$?\ntimes >&3\nexit $code`;
  const started = performance.now();
  const child = spawn("bash", ["-c", wrapped], {
    env: { PATH: process.env["PATH"] ?? "", ...env },
    stdio: ["ignore", "pipe", "pipe", "pipe"],
    // A group of its own, so that a run that takes too long is ended as a whole.
    detached: true,
  });
  const said = { stdout: "", stderr: "", times: "" };
  const names = ["stdout", "stderr", "times"] as const;
  names.forEach((name, i) => {
    child.stdio[i + 1]?.on("data", (data: Buffer) => {
      said[name] = (said[name] + data.toString()).slice(-64 * 1024);
    });
  });
  const kill = () => {
    if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
  };
  process.once("exit", kill);
  let late = false;
  const limit = setTimeout(() => {
    late = true;
    kill();
  }, limitS * 1000);
  let peak = 0;
  const poll = setInterval(() => {
    peak = Math.max(peak, residentBytes(child.pid ?? 0));
  }, POLL_MS);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  }).finally(() => {
    clearInterval(poll);
    clearTimeout(limit);
    process.off("exit", kill);
  });
  if (late) throw new Error(`not done after ${limitS} s`);
  if (code !== 0) throw new Error(`ended with ${code}: ${said.stderr.trim().slice(-600)}`);
  return {
    wall_s: (performance.now() - started) / 1000,
    cpu_s: cpuOfTimes(said.times),
    peak_rss_mb: peak > 0 ? peak / MEGABYTE : null,
    stdout: said.stdout,
  };
}

/** Waits until the disk has what was written so far: no run pays for what another one left to be written. */
export async function flushDisk(): Promise<void> {
  const child = spawn("sync", { stdio: "ignore" });
  await new Promise((resolve) => {
    child.once("error", resolve);
    child.once("close", resolve);
  });
}

/** The CPU seconds in the output of the shell's `times`: user and system of the shell, then of all it waited for. */
export function cpuOfTimes(text: string): number | null {
  const parts = [...text.matchAll(/(\d+)m([\d.]+)s/g)];
  return parts.length === 0 ? null : parts.reduce((sum, part) => sum + Number(part[1]) * 60 + Number(part[2]), 0);
}

/** Resident bytes of a process and all below it at this moment. */
function residentBytes(pid: number): number {
  let sum = 0;
  try {
    sum += Number(readFileSync(`/proc/${pid}/statm`, "utf8").split(" ")[1]) * PAGE;
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      for (const child of readFileSync(`/proc/${pid}/task/${thread}/children`, "utf8").split(" ").filter(Boolean)) {
        sum += residentBytes(Number(child));
      }
    }
  } catch {
    // It ended meanwhile.
  }
  return sum;
}

/** Measures what a process that goes on running does meanwhile: its CPU time, its peak memory, the bytes that it read. */
export function watchProcess(pid: number): { usage(): Omit<Usage, "wall_s"> & { read_mb: number | null } } {
  // Lets the kernel forget the peak so far; where that is not allowed, the peak is that of the whole life.
  attempt(() => writeFileSync(`/proc/${pid}/clear_refs`, "5"));
  const before = { cpu: cpuSeconds(pid), read: readBytes(pid) };
  const since = (now: number | null, then: number | null) => (now === null || then === null ? null : now - then);
  return {
    usage() {
      const peak = attempt(() => /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
      const read = since(readBytes(pid), before.read);
      return {
        cpu_s: since(cpuSeconds(pid), before.cpu),
        peak_rss_mb: peak === null ? null : (Number(peak) * 1024) / MEGABYTE,
        read_mb: read === null ? null : read / MEGABYTE,
      };
    },
  };
}

function cpuSeconds(pid: number): number | null {
  const fields = attempt(() =>
    readFileSync(`/proc/${pid}/stat`, "utf8")
      .replace(/^.*\) /, "")
      .split(" "),
  );
  return fields === null ? null : (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** All that the process read by system calls, from files and sockets alike. */
function readBytes(pid: number): number | null {
  const found = attempt(() => /^rchar: (\d+)/m.exec(readFileSync(`/proc/${pid}/io`, "utf8"))?.[1]);
  return found === null ? null : Number(found);
}

function attempt<T>(work: () => T | undefined): T | null {
  try {
    return work() ?? null;
  } catch {
    return null;
  }
}

/** Megabytes of all files below a folder. */
export function megabytesBelow(folder: string): number {
  let sum = 0;
  for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true })) {
    if (entry.isFile()) sum += lstatSync(join(entry.parentPath, entry.name)).size;
  }
  return sum / MEGABYTE;
}
