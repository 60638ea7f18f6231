import { mkdir, mkdtemp, readdir, rm, stat, symlink, truncate, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, describe, expect, test, vi } from "vitest";
import { codeOf, pattern, put, storeConformance } from "./conformance.suite.ts";
import { type FileOps, nodeFileOps } from "./file-ops.ts";
import { openLocalStore } from "./local-fs.ts";

const made: string[] = [];
afterAll(() => Promise.all(made.map((path) => rm(path, { recursive: true, force: true }))));

async function freshRoot(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "xvault-store-"));
  made.push(path);
  return join(path, "root");
}

async function namesBelow(root: string): Promise<string[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => entry.name);
}

interface Watched {
  files: FileOps;
  /** What was done, in order, with paths relative to the root. */
  done: string[];
  /** Makes the calls whose entry in `done` begins with this fail. */
  failAt(call: string, code?: string): void;
}

/** The real file system, watched, with failures on demand. */
function watch(root: string): Watched {
  const done: string[] = [];
  let failing = { call: "\0", code: "EIO" };
  const step = (call: string, ...paths: string[]) => {
    const entry = [call, ...paths.map((path) => path.replace(root, "").replace(/\.part-.*/, "TEMP"))].join(" ");
    done.push(entry);
    if (entry.startsWith(failing.call))
      throw Object.assign(new Error(`${failing.code}: on demand`), { code: failing.code });
  };
  const files: FileOps = {
    ...nodeFileOps,
    async createFile(path) {
      step("create", path);
      const file = await nodeFileOps.createFile(path);
      return {
        async append(parts) {
          step("append");
          await file.append(parts);
        },
        async sync() {
          step("fsync", path);
          await file.sync();
        },
        close: () => file.close(),
      };
    },
    async rename(from, to) {
      step("rename", from, to);
      await nodeFileOps.rename(from, to);
    },
    async syncDirectory(path) {
      step("fsync directory", path);
      await nodeFileOps.syncDirectory(path);
    },
  };
  return {
    files,
    done,
    failAt: (call, code = "EIO") => {
      failing = { call, code };
    },
  };
}

storeConformance("A local directory", async () => openLocalStore({ root: await freshRoot() }));

describe("publishing (promise 22)", () => {
  test("is fsync, rename, fsync of the directory, in that order, after all bytes", async () => {
    const root = await freshRoot();
    const { files, done } = watch(root);
    const store = await openLocalStore({ root, files });
    await put(store, "t/s/object", pattern(3 * 1024 * 1024));
    expect(done.slice(-5)).toEqual([
      "create /t/s/TEMP",
      "append",
      "fsync /t/s/TEMP",
      "rename /t/s/TEMP /t/s/object",
      "fsync directory /t/s",
    ]);
    // The directories themselves were made to last before that: each parent that got a new entry.
    expect(done.slice(0, -5)).toEqual([`fsync directory ${dirname(root)}`, "fsync directory /t", "fsync directory "]);
  });

  test.each([
    ["append", "EIO", "STORAGE_FAILED"],
    ["append", "ENOSPC", "SPACE_REQUIRED"],
    ["append", "EDQUOT", "SPACE_REQUIRED"],
    ["fsync /t/s/TEMP", "EIO", "STORAGE_FAILED"],
    ["fsync /t/s/TEMP", "ENOSPC", "SPACE_REQUIRED"],
    ["rename", "EIO", "STORAGE_FAILED"],
    ["fsync directory /t/s", "EIO", "STORAGE_FAILED"],
  ])("a failing %s with %s is told as %s and leaves nothing", async (call, system, code) => {
    const root = await freshRoot();
    const watched = watch(root);
    const store = await openLocalStore({ root, files: watched.files });
    await put(store, "t/s/before", pattern(5));
    const writer = await store.create("t/s/object");
    watched.failAt(call, system);
    await writer.write(pattern(1000));
    expect(await codeOf(writer.commit())).toBe(code);
    watched.failAt("\0");
    expect(await store.stat("t/s/object")).toBeNull();
    expect(await namesBelow(root)).toEqual(["before"]);
    await put(store, "t/s/object", pattern(5));
    expect(await store.stat("t/s/object")).toEqual({ sizeBytes: 5 });
  });

  test("a write that failed is not forgotten by a later close and commit", async () => {
    const root = await freshRoot();
    const watched = watch(root);
    const store = await openLocalStore({ root, files: watched.files });
    const writer = await store.create("object");
    watched.failAt("append", "ENOSPC");
    await writer.write(pattern(1024 * 1024));
    expect(await codeOf(writer.close())).toBe("SPACE_REQUIRED");
    watched.failAt("\0");
    expect(await codeOf(writer.commit())).toBe("SPACE_REQUIRED");
    expect(await namesBelow(root)).toEqual([]);
  });

  test("a long object is synced while it is written, and a sync that failed then is not forgotten", async () => {
    const root = await freshRoot();
    const watched = watch(root);
    const store = await openLocalStore({ root, files: watched.files });
    const syncs = () => watched.done.filter((call) => call.startsWith("fsync /t/s/TEMP")).length;
    const mebibyte = pattern(1024 * 1024);
    await put(store, "t/s/long", ...Array.from({ length: 40 }, () => mebibyte));
    expect(syncs()).toBe(2);

    const writer = await store.create("t/s/lost");
    watched.failAt("fsync /t/s/TEMP", "EIO");
    const failed = syncs() + 1;
    for (let written = 0; written < 33; written += 1) await writer.write(mebibyte);
    await vi.waitFor(() => expect(syncs()).toBe(failed));
    // The next one succeeds, as that of a kernel does which has told of the loss.
    watched.failAt("\0");
    expect(await codeOf(writer.commit())).toBe("STORAGE_FAILED");
    expect(await store.stat("t/s/lost")).toBeNull();
    expect(await namesBelow(root)).toEqual(["long"]);
  });

  test("bytes go out about a mebibyte at a time", async () => {
    const root = await freshRoot();
    const { files, done } = watch(root);
    const store = await openLocalStore({ root, files });
    const chunks = Array.from({ length: 64 * 4 }, (_, at) => pattern(16 * 1024, at));
    await put(store, "object", ...chunks);
    expect(done.filter((call) => call === "append").length).toBe(4);
  });
});

describe("files on disk", () => {
  test("are private to the user", async () => {
    const root = await freshRoot();
    const store = await openLocalStore({ root });
    await put(store, "t/s/object", pattern(1));
    expect((await stat(root)).mode & 0o777).toBe(0o700);
    expect((await stat(join(root, "t/s"))).mode & 0o777).toBe(0o700);
    expect((await stat(join(root, "t/s/object"))).mode & 0o777).toBe(0o600);
  });

  test("a symbolic link is not an object", async () => {
    const root = await freshRoot();
    const store = await openLocalStore({ root });
    await put(store, "real", pattern(1));
    await symlink(join(root, "real"), join(root, "link"));
    expect(await store.stat("link")).toBeNull();
    expect(await codeOf(store.readAll("link", 10))).toBe("ARTIFACT_MISSING");
  });

  test("an object that was cut short on disk is noticed while it is read", async () => {
    const root = await freshRoot();
    const store = await openLocalStore({ root });
    await put(store, "object", pattern(1000));
    const reader = await store.reader("object");
    await truncate(join(root, "object"), 999);
    expect((await reader.read(0, 999)).equals(pattern(1000).subarray(0, 999))).toBe(true);
    expect(await codeOf(reader.read(0, 1000))).toBe("ARCHIVE_TRUNCATED");
  });

  test("a root that is a file cannot be opened", async () => {
    const root = await freshRoot();
    await writeFile(root, "");
    expect(await codeOf(openLocalStore({ root }))).toBe("STORAGE_FAILED");
  });
});

describe("the sweep", () => {
  test("removes what dead writers left, once it is old enough, and nothing else", async () => {
    const root = await freshRoot();
    const store = await openLocalStore({ root });
    await put(store, "t/s/object", pattern(1));
    const live = await store.create("t/s/live");
    await mkdir(join(root, "t/s2"));
    const dead = join(root, "t/s2/.part-0d1e");
    const young = join(root, "t/s2/.part-0d1f");
    await writeFile(dead, "half");
    await writeFile(young, "half");
    const yesterday = new Date(Date.now() - 86_400_000);
    await utimes(dead, yesterday, yesterday);
    for (const name of await readdir(join(root, "t/s"))) await utimes(join(root, "t/s", name), yesterday, yesterday);

    expect(await store.sweepTemporary(3_600_000)).toBe(1);
    expect(await readdir(join(root, "t/s2"))).toEqual([".part-0d1f"]);
    expect(await store.sweepTemporary(Number.NEGATIVE_INFINITY, "t/s")).toBe(0);
    expect(await store.sweepTemporary(Number.NEGATIVE_INFINITY, "t/none")).toBe(0);
    expect(await store.sweepTemporary(Number.NEGATIVE_INFINITY, "t/s2")).toBe(1);
    await live.write(pattern(7));
    await live.commit();
    expect(await store.stat("t/s/live")).toEqual({ sizeBytes: 7 });
    expect(await store.stat("t/s/object")).toEqual({ sizeBytes: 1 });
  });
});
