import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";
import { FILES, type MadeStorage, makeStorage } from "./made-snapshot.ts";

/** A directory for everything that a test makes, and names in it. */
export interface Ground {
  dir: string;
  /** A path where nothing is yet. */
  fresh(): string;
  /** A directory that is there. */
  directory(name: string): string;
  remove(): void;
}

export function openGround(): Ground {
  const dir = mkdtempSync(join(tmpdir(), "xvault-recover-"));
  let count = 0;
  return {
    dir,
    fresh: () => join(dir, `out-${(count += 1)}`),
    directory: (name) => mkdtempSync(join(dir, `${name}-`)),
    remove: () => rmSync(dir, { recursive: true, force: true }),
  };
}

/** All of `FILES` is there, with everything that belongs to it. */
export function expectWhole(target: string): void {
  for (const [path, content] of FILES) {
    const full = Buffer.concat([Buffer.from(`${target}/`), path]);
    expect(readFileSync(full).equals(content), path.toString("latin1")).toBe(true);
    expect(statSync(full).mode & 0o7777).toBe(0o640);
    expect(Math.floor(statSync(full).mtimeMs)).toBe(1_700_000_000_123);
  }
  expect(readlinkSync(join(target, "srv/link"))).toBe("app/hello.txt");
  expect(statSync(join(target, "srv/twin")).ino).toBe(statSync(join(target, "srv/app/hello.txt")).ino);
}

/** Mode and time of `srv` and `srv/app` are those of the snapshot. */
export function expectDirectories(target: string): void {
  for (const [path, mode] of [
    ["srv", 0o755],
    ["srv/app", 0o750],
  ] as const) {
    const found = statSync(join(target, path));
    expect([path, found.mode & 0o7777, Math.floor(found.mtimeMs)]).toEqual([path, mode, 1_700_000_000_123]);
  }
}

/** Three runs, each of which takes what has not changed from those before. */
export async function madeChain(directory: string) {
  const made = await makeStorage(directory);
  const hour = (n: number) => new Date(Date.now() - 10_000_000 + n * 3_600_000);
  const first = await made.backUp({
    createdAt: hour(0),
    files: [...FILES, [Buffer.from("srv/app/gone"), Buffer.from("deleted later")]],
  });
  const added: [Buffer, Buffer][] = [...FILES, [Buffer.from("srv/app/added"), Buffer.from("in the second")]];
  const second = await made.backUp({
    createdAt: hour(1),
    files: added,
    previous: first.manifest,
    incremental: true,
  });
  const third = await made.backUp({ createdAt: hour(2), files: added, previous: second.manifest, incremental: true });
  expect(third.manifest.references.map((one) => one.snapshot_id).toSorted()).toEqual(
    [first, second].map(({ manifest }) => manifest.snapshot_id).toSorted(),
  );
  expect(third.manifest.artifact.tar_bytes).toBeLessThan(20_000);
  return { ...made, first, second, third };
}

/** What the third run of `madeChain` saw is there. */
export function expectChain(target: string): void {
  expectWhole(target);
  expectDirectories(target);
  expect(readFileSync(join(target, "srv/app/added"), "utf8")).toBe("in the second");
  expect(existsSync(join(target, "srv/app/gone"))).toBe(false);
}

/** Names of everything below a directory that begins as what a restore has for itself. */
export function ownFilesBelow(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: "utf8" })
    .filter((path) => path.split("/").at(-1)?.startsWith(".xvault-"))
    .toSorted();
}

export function recoverArgs({ base, kit }: Pick<MadeStorage, "base" | "kit">, target: string): string[] {
  return ["recover", "--from", base, "--identity", kit, "--target", target];
}

const main = fileURLToPath(new URL("../src/main.ts", import.meta.url));
const signals = fileURLToPath(new URL("recover-signal.ts", import.meta.url));

/** Runs a command line in a process of its own, which sends itself a signal in the place of the nth file's getting its name. */
export async function runWithSignal(
  argv: string[],
  { signal, nth, ...more }: { signal: "SIGKILL" | "SIGINT"; nth: number; env?: Record<string, string> },
): Promise<{ status: number | null; signal: NodeJS.Signals | null; err: string }> {
  const child = spawn(process.execPath, ["--import", signals, main, ...argv], {
    stdio: ["ignore", "ignore", "pipe"],
    env: { PATH: process.env["PATH"], TEST_SIGNAL: signal, TEST_NTH: String(nth), ...more.env },
  });
  let err = "";
  child.stderr.on("data", (data: Buffer) => (err += data.toString()));
  return new Promise((resolve, reject) => {
    child.once("error", reject).once("close", (status, killedBy) => resolve({ status, signal: killedBy, err }));
  });
}
