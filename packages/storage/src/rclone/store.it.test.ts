import { spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { isXVaultError, type XVaultError } from "@xvault/kernel";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { codeOf, pattern, put, storeConformance } from "../conformance.suite.ts";
import type { ObjectStore } from "../object-store.ts";
import { checkRemote } from "./check-remote.ts";
import { openRcloneStore } from "./open.ts";
import { connectRemote, openRemote, type RcloneStore, type RemoteConnection } from "./connect.ts";

const MiB = 1024 * 1024;
const missing = spawnSync("rclone", ["version"]).status === 0 ? "" : "rclone is not installed";
const skipped = missing && ` (skipped: ${missing})`;

let scratch: string;
let count = 0;
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "xvault-rclone-"));
});
afterAll(() => rm(scratch, { recursive: true, force: true }));

/** Stores of the test at hand; their processes end with it. */
const opened: RcloneStore[] = [];
const keep = (store: RcloneStore) => {
  opened.push(store);
  return store;
};
afterEach(async () => {
  await Promise.all(opened.splice(0).map((store) => store.close()));
});

const freshFolder = () => join(scratch, `${(count += 1)}`);

/** A directory of this machine, which no tenant can name: the allow list has no 'alias'. */
async function openFolder(root: string, options: Parameters<typeof openRemote>[1] = {}): Promise<RcloneStore> {
  return keep(
    await openRemote({ type: "alias", plain: { remote: root }, secret: {}, obscured: {}, path: "" }, options),
  );
}

/** Process ids of the rclone processes that this one started. */
function processes(): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const [state, parent] = readFileSync(`/proc/${pid}/stat`, "utf8")
          .replace(/^.*\) /, "")
          .split(" ");
        return Number(parent) === process.pid && state !== "Z" && commandOf(pid).includes(" rcd ");
      } catch {
        return false; // ended meanwhile
      }
    });
}

const commandOf = (pid: number) => readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");

async function failureOf(promise: Promise<unknown>): Promise<XVaultError> {
  const error = await promise.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (!isXVaultError(error)) throw new Error("did not fail as it should", { cause: error });
  return error;
}

/** One process for all the stores of a conformance run, each at a path of its own. */
function storesOf(connect: () => Promise<RemoteConnection>): () => Promise<ObjectStore> {
  let connection: Promise<RemoteConnection> | undefined;
  afterAll(async () => (await connection)?.close());
  return async () => (await (connection ??= connect())).at(`stores/${(count += 1)}`);
}

describe.skipIf(missing)(`folders by rclone${skipped}`, () => {
  const none = { plain: {}, secret: {}, obscured: {}, path: "" };
  storeConformance(
    "A directory",
    storesOf(() => connectRemote({ ...none, type: "alias", plain: { remote: scratch } }, {})),
  );
  // Its first folder is a bucket.
  storeConformance(
    "A bucket",
    storesOf(() => connectRemote({ ...none, type: "memory" }, {})),
  );
});

describe.skipIf(missing)(`a WebDAV server by rclone${skipped}`, () => {
  const password = `p${randomBytes(12).toString("hex")} "'$&`;
  let root: string;
  let url: string;
  let stop: () => void;
  beforeAll(async () => {
    root = freshFolder();
    await mkdir(root);
    const server = spawn("rclone", ["serve", "webdav", root, "--addr", "127.0.0.1:0", "--config", "", "-v"], {
      env: { PATH: process.env["PATH"] ?? "", RCLONE_USER: "someone", RCLONE_PASS: password },
      stdio: ["ignore", "ignore", "pipe"],
    });
    stop = () => server.kill("SIGKILL");
    url = await new Promise<string>((resolve, reject) => {
      server.once("exit", () => reject(new Error("rclone serve ended")));
      createInterface({ input: server.stderr }).on("line", (line) => {
        const found = /http:\/\/127\.0\.0\.1:\d+/.exec(line);
        if (found) resolve(found[0]);
      });
    });
  });
  afterAll(() => stop());

  const remote = (pass = password) => ({
    remoteType: "webdav",
    parameters: { url, vendor: "other", user: "someone" },
    secretParameters: { pass },
    path: "tenant/folder",
  });

  storeConformance(
    "A WebDAV server",
    storesOf(() => connectRemote(checkRemote(remote()), {})),
  );

  test("is opened without a secret on any command line", async () => {
    const store = keep(await openRcloneStore(remote()));
    await put(store, "a", pattern(10));
    const pids = processes();
    const pid = Math.max(...pids);
    const environment = readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
    const secrets = environment
      .filter((line) => /^RCLONE_(RC_|CONFIG_XV_PASS)/.test(line))
      .map((line) => line.slice(line.indexOf("=") + 1));
    expect(secrets.length).toBe(3);
    for (const secret of [password, ...secrets]) expect(commandOf(pid)).not.toContain(secret);
    // Nothing of ours is inherited.
    const names = environment.map((line) => line.split("=")[0]).filter((name) => name && !name.startsWith("RCLONE_"));
    expect(new Set(names)).toEqual(new Set(["HOME", "PATH"]));
  });

  test("refuses a wrong password in words that do not hold it, and it is not tried again", async () => {
    const wrong = "a-wrong-password";
    const error = await failureOf(openRcloneStore(remote(wrong)));
    expect(error.code).toBe("STORAGE_FAILED");
    expect(error.retry).toBe(false);
    expect(error.fix).toContain("credentials");
    expect(JSON.stringify(error.report())).not.toContain(wrong);
  });

  test("that is gone is told as such", async () => {
    const error = await failureOf(
      openRcloneStore({
        remoteType: "webdav",
        parameters: { url: "http://127.0.0.1:1", vendor: "other" },
        secretParameters: {},
        path: "",
      }),
    );
    expect([error.code, error.retry]).toEqual(["STORAGE_FAILED", true]);
  });
});

describe.skipIf(missing)(`rclone's process${skipped}`, () => {
  test("that is killed in the middle leaves nothing under the key, and is started again by the next call", async () => {
    const root = freshFolder();
    const store = await openFolder(root);
    await put(store, "t/kept", pattern(1000));
    const writer = await store.create("t/half");
    await writer.write(pattern(3 * MiB));
    await vi.waitFor(async () => expect((await readdir(join(root, "t"))).length).toBe(2), 20_000);
    for (const pid of processes()) process.kill(pid, "SIGKILL");
    const end = async () => {
      for (let at = 0; at < 64; at += 1) await writer.write(pattern(MiB, at));
      await writer.commit();
    };
    expect(await codeOf(end())).toBe("STORAGE_FAILED");
    await writer.abort();
    expect(await store.stat("t/half")).toBeNull();
    expect((await store.readAll("t/kept", 1000)).equals(pattern(1000))).toBe(true);
    await store.sweepTemporary(Number.NEGATIVE_INFINITY);
    expect(await readdir(join(root, "t"))).toEqual(["kept"]);
  });

  test("ends when nobody uses it, and when the store is closed", async () => {
    const store = await openFolder(freshFolder(), { idleMs: 1 });
    await vi.waitFor(() => expect(processes()).toEqual([]), 20_000);
    await put(store, "a", pattern(5));
    expect(await store.stat("a")).toEqual({ sizeBytes: 5 });
    await store.close();
    await vi.waitFor(() => expect(processes()).toEqual([]), 20_000);
    expect(await codeOf(store.stat("a"))).toBe("CANCELLED");
  });

  test("ends with the signal, and what it was asked is cancelled", async () => {
    const stop = new AbortController();
    const store = await openFolder(freshFolder(), { signal: stop.signal });
    const writer = await store.create("a");
    stop.abort();
    expect(await codeOf(writer.commit())).toBe("CANCELLED");
    expect(await codeOf(store.freeBytes())).toBe("CANCELLED");
    await vi.waitFor(() => expect(processes()).toEqual([]), 20_000);
    expect(await codeOf(openFolder(freshFolder(), { signal: stop.signal }))).toBe("CANCELLED");
  });

  test.skipIf(!existsSync("/usr/bin/setpriv"))("does not outlive a process that is killed", async () => {
    const script = `
      const { openRemote } = await import(${JSON.stringify(join(import.meta.dirname, "connect.ts"))});
      await openRemote({ type: "memory", plain: {}, secret: {}, obscured: {}, path: "" }, {});
      const { readFileSync } = await import("node:fs");
      console.log(readFileSync("/proc/self/task/" + process.pid + "/children", "utf8"));
      setInterval(() => {}, 1000);`;
    const parent = spawn(process.execPath, ["--input-type=module", "-e", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [pid] = await new Promise<number[]>((resolve) =>
      createInterface({ input: parent.stdout }).once("line", (line) => resolve(line.trim().split(" ").map(Number))),
    );
    expect(commandOf(pid ?? 0)).toContain("rcd");
    parent.kill("SIGKILL");
    await vi.waitFor(() => expect(existsSync(`/proc/${pid}`)).toBe(false), 20_000);
  });

  test("that is not installed is named, with who can mend it", async () => {
    const error = await failureOf(openFolder(freshFolder(), { program: "rclone-that-is-not-there" }));
    expect([error.code, error.retry]).toEqual(["STORAGE_FAILED", false]);
    expect(error.fix).toContain("install rclone");
  });

  test("reads nobody's configuration", async () => {
    const home = freshFolder();
    const file = join(home, ".config/rclone/rclone.conf");
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, `[mine]\ntype = alias\nremote = ${home}\n`);
    expect(spawnSync("rclone", ["lsf", "mine:"], { env: { HOME: home, PATH: process.env["PATH"] } }).status).toBe(0);
    expect(await codeOf(openFolder("mine:", { environment: { HOME: home } }))).toBe("STORAGE_FAILED");
  });
});

test.skipIf(missing)(
  `the sweep removes what dead writers left, once it is old enough, and nothing else${skipped}`,
  async () => {
    const root = freshFolder();
    const store = await openFolder(root);
    await put(store, "backups/t/s/one/object", pattern(1));
    const live = await store.create("backups/t/s/two/live");
    await live.write(pattern(MiB));
    await mkdir(join(root, "backups/t/s/three"), { recursive: true });
    const [dead, young] = [join(root, "backups/t/s/three/.part-0d1e"), join(root, "backups/.part-0d1f")];
    await writeFile(dead, "half");
    await writeFile(young, "half");
    const yesterday = new Date(Date.now() - 86_400_000);
    await utimes(dead, yesterday, yesterday);
    await utimes(join(root, "backups/t/s/one/object"), yesterday, yesterday);

    const keys: string[] = [];
    for await (const { key } of store.list("")) keys.push(key);
    expect(keys).toEqual(["backups/t/s/one/object"]);
    expect(await store.sweepTemporary(Number.NEGATIVE_INFINITY, "backups/t/s/two")).toBe(0);
    expect(await store.sweepTemporary(3_600_000)).toBe(1);
    expect(existsSync(dead)).toBe(false);
    expect(existsSync(young)).toBe(true);
    expect(await store.sweepTemporary(Number.NEGATIVE_INFINITY)).toBe(1);
    await live.commit();
    expect((await store.readAll("backups/t/s/two/live", MiB)).equals(pattern(MiB))).toBe(true);
  },
);

test.skipIf(missing)(`a tree that is removed takes along what is being uploaded to it${skipped}`, async () => {
  const root = freshFolder();
  const store = await openFolder(root);
  await put(store, "t/s/object", pattern(1));
  const writer = await store.create("t/s/begun");
  await writer.write(pattern(MiB));
  await store.removeTree("t/s");
  expect(await codeOf(writer.commit())).toBe("STORAGE_FAILED");
  expect(existsSync(join(root, "t/s"))).toBe(false);
});
