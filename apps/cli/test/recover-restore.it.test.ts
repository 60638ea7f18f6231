import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FILES, type MadeStorage, makeStorage } from "./made-snapshot.ts";
import { startHub } from "./recover-hub.ts";
import { expectDirectories, expectWhole, openGround, ownFilesBelow, runWithSignal } from "./recover-ground.ts";
import { runHere } from "./run-cli.ts";

const ground = openGround();
const IN_THE_MIDDLE = 3;

let storage: MadeStorage;
let made: Awaited<ReturnType<MadeStorage["backUp"]>>;
let hub: Awaited<ReturnType<typeof startHub>>;
beforeAll(async () => {
  storage = await makeStorage(ground.dir);
  made = await storage.backUp();
  hub = await startHub(storage, made.directory, made.manifest);
});
afterAll(() => {
  hub?.close();
  ground.remove();
});

const restore = (target: string, ...more: string[]) => {
  return ["restore", made.manifest.snapshot_id, "--target", target, ...more];
};
const run = (argv: string[], url = hub.url) => runHere(argv, { environment: { url, token: "xv_token" } });

describe.each([
  ["that a worker decrypts", []],
  ["that is decrypted here", ["--identity", "KIT"]],
])("a restore %s", (_, more) => {
  const args = () => more.map((one) => (one === "KIT" ? storage.kit : one));

  it("goes on under any policy when it was killed, and its directories are finished then", async () => {
    for (const policy of ["never", "if-changed"]) {
      const target = ground.fresh();
      const env = { XVAULT_URL: hub.url, XVAULT_TOKEN: "xv_token" };
      const killed = await runWithSignal(restore(target, ...args()), { signal: "SIGKILL", nth: IN_THE_MIDDLE, env });
      expect(killed.signal, killed.err).toBe("SIGKILL");
      expect(statSync(join(target, "srv")).mode & 0o7777).toBe(0o700);
      expect(ownFilesBelow(target).length).toBe(2);
      const ran = await run([...restore(target, ...args()), "--overwrite", policy]);
      expect(ran.code, ran.err).toBe(0);
      expect(ran.out).toMatch(/ restored to .*, \d+ left as they were\.\n$/);
      expectWhole(target);
      expectDirectories(target);
      expect(ownFilesBelow(target)).toEqual([]);
    }
  });

  it("says how it is continued when it was interrupted", async () => {
    const target = ground.fresh();
    const env = { XVAULT_URL: hub.url, XVAULT_TOKEN: "xv_token" };
    const stopped = await runWithSignal(restore(target, ...args()), { signal: "SIGINT", nth: IN_THE_MIDDLE, env });
    expect(stopped.status, stopped.err).toBe(130);
    expect(stopped.err).toMatch(/^error CANCELLED: /m);
    expect(stopped.err).toMatch(/^fix: .*--overwrite if-changed/m);
  });
});

it("a restore that is decrypted here leaves out what is damaged with --keep-going, and says so without", async () => {
  const other = await makeStorage(ground.directory("damaged"));
  const files: typeof FILES = [
    [Buffer.from("srv/app/first"), randomBytes(3 * 1024 * 1024)],
    [Buffer.from("srv/app/second"), randomBytes(6 * 1024 * 1024)],
    ...FILES,
  ];
  const { directory, manifest } = await other.backUp({ files });
  const artifact = join(directory, "backup.tar.zst.enc");
  const bytes = readFileSync(artifact);
  // Of this block's bytes there are some in frames from 4 to 8 MiB, where the second file alone is.
  const at = 6.5 * 1024 * 1024;
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  writeFileSync(artifact, bytes);
  const damaged = await startHub(other, directory, manifest);
  try {
    const target = ground.fresh();
    const argv = ["restore", manifest.snapshot_id, "--identity", other.kit, "--target", target];
    const ended = await run(argv, damaged.url);
    expect(ended.code).toBe(1);
    expect(ended.err).toContain("error ARTIFACT_CORRUPT");
    expect(ended.err).toMatch(/^fix: .*--keep-going --overwrite if-changed/m);
    const ran = await run([...argv, "--keep-going", "--overwrite", "if-changed"], damaged.url);
    expect(ran.code, ran.err).toBe(3);
    expect(ran.err).toMatch(/^warning: \/srv\/app\/second is not restored: /m);
    expect(ran.err).toContain("warning: 1 entry is damaged or missing");
    expect(existsSync(join(target, "srv/app/second"))).toBe(false);
    expect(readFileSync(join(target, "srv/app/first")).equals(files[0]?.[1] ?? bytes)).toBe(true);
    expectWhole(target);
    expect(ownFilesBelow(target)).toEqual([]);
  } finally {
    damaged.close();
  }
});
