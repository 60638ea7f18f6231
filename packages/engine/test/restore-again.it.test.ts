import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { type ArtifactReader, createLocalTarget, tarHeader } from "@xvault/archive";
import { type OverwritePolicy, type TreeTarget, XVaultError } from "@xvault/kernel";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createReportLog, runRestore } from "../src/index.ts";
import { entryOf, type Packed, packSnapshot } from "./chain.ts";
import { because, codeOf, filesBelow, type Lab, noSshd, openLab } from "./lab.ts";

const NOTES = ".xvault-restore-made";
const LEFTOVER = ".xvault-0123456789ab-1.tmp";
const TIME = 1_500_000_000_000_000_000n;
const OWNER = process.getuid?.() === 0 ? { uid: 12_345, gid: 54_321 } : {};
const MODES = { top: 0o751, "top/a": 0o500, "top/a/deep": 0o710, "top/b": 0o705 };
const FILES = ["top/a/deep/1", "top/a/2", "top/b/3", "top/b/4"];

describe.skipIf(noSshd)(`a restore into what an attempt before it left${because(noSshd)}`, () => {
  let lab: Lab;
  let made: Packed;
  let count = 0;
  const fresh = () => join(lab.dir, `out-${(count += 1)}`);

  beforeAll(async () => {
    lab = await openLab();
    made = await packSnapshot(lab, async ({ add }) => {
      const directory = (path: keyof typeof MODES) =>
        add(entryOf(path, { type: "dir", mode: MODES[path], mtimeNs: TIME, ...OWNER }));
      const file = (path = "") => add(entryOf(path, { size: path.length, ...OWNER }), Buffer.from(path));
      await directory("top");
      // Its directories come behind it, as they may.
      await file(FILES[0]);
      await directory("top/a");
      await directory("top/a/deep");
      await file(FILES[1]);
      await directory("top/b");
      await file(FILES[2]);
      await file(FILES[3]);
    });
  });
  afterAll(() => lab?.stop());

  const restore = async (
    to: string,
    overwrite: OverwritePolicy,
    options: { failAt?: string | undefined; target?: TreeTarget } = {},
  ) => {
    const artifact = failing(await lab.open(made.place), options.failAt);
    const target = options.target ?? (await createLocalTarget(to, { overwrite }));
    const { reporter } = createReportLog();
    const signal = new AbortController().signal;
    return runRestore({ artifact, paths: [], target, localRoot: to, reporter, signal });
  };
  const broken = async (to: string, overwrite: OverwritePolicy = "never", failAt = FILES[2]) =>
    expect(await codeOf(restore(to, overwrite, { failAt }))).toBe("UNAVAILABLE");

  function expectDirectories(to: string, paths = Object.keys(MODES) as (keyof typeof MODES)[]): void {
    for (const path of paths) {
      const found = lstatSync(join(to, path));
      const owner = { uid: process.getuid?.(), gid: process.getgid?.(), ...OWNER };
      expect([path, found.mode & 0o7777, found.mtimeMs, found.uid, found.gid]).toEqual([
        path,
        MODES[path],
        Number(TIME / 1_000_000n),
        owner.uid,
        owner.gid,
      ]);
    }
  }

  test.each(["never", "if-newer", "if-changed", "always"] as const)(
    "ends as one in one go does, under '%s'",
    async (policy) => {
      const to = fresh();
      await broken(to);
      expect(lstatSync(join(to, "top/a")).mode & 0o7777).toBe(0o700);
      const result = await restore(to, policy);
      expect(filesBelow(to)).toEqual([...FILES].toSorted());
      expectDirectories(to);
      // What it found whole; directories count as written, for so they are.
      if (policy !== "always") expect(result).toMatchObject({ written: 6, skipped: 2 });
    },
  );

  test("leaves the directories that were there before the first attempt, under 'never'", async () => {
    const to = fresh();
    mkdirSync(join(to, "top/b"), { recursive: true });
    chmodSync(join(to, "top/b"), 0o700);
    const before = lstatSync(join(to, "top/b"));
    await broken(to);
    await restore(to, "never");
    const after = lstatSync(join(to, "top/b"));
    expect([after.mode, after.uid, after.gid]).toEqual([before.mode, before.uid, before.gid]);
    expectDirectories(to, ["top/a", "top/a/deep"]);
    expect(existsSync(join(to, NOTES))).toBe(false);
  });

  test("takes no directory for its own that somebody made anew meanwhile", async () => {
    const to = fresh();
    await broken(to);
    rmSync(join(to, "top/a"), { recursive: true });
    mkdirSync(join(to, "top/a"), { mode: 0o755 });
    await restore(to, "never");
    expect(lstatSync(join(to, "top/a")).mode & 0o7777).toBe(0o755);
    expectDirectories(to, ["top", "top/a/deep", "top/b"]);
  });

  test("passes over notes that are torn", async () => {
    const to = fresh();
    await broken(to);
    const notes = readFileSync(join(to, NOTES), "utf8");
    const [head = "", top = "", deep = "", ...more] = notes.split("\n");
    expect(head).toBe("xvault restore 1");
    writeFileSync(join(to, NOTES), [head, top, deep.slice(0, 9), ...more].join("\n"));
    await restore(to, "never");
    expectDirectories(to, ["top", "top/a/deep", "top/b"]);
    expect(lstatSync(join(to, "top/a")).mode & 0o7777).toBe(0o700);
    expect(existsSync(join(to, NOTES))).toBe(false);
  });

  test("leaves no notes where nothing was made", async () => {
    const there = fresh();
    mkdirSync(join(there, "top/a/deep"), { recursive: true });
    await broken(there, "never", FILES[0]);
    expect(readdirSync(there)).toEqual(["top"]);

    const to = fresh();
    mkdirSync(to);
    const denied: TreeTarget = {
      put: () => Promise.reject(new XVaultError("PATH_DENIED")),
      finish: async () => {},
      abort: async () => {},
    };
    expect(await codeOf(restore(to, "never", { target: denied }))).toBe("PATH_DENIED");
    expect(readdirSync(to)).toEqual([]);
  });

  test("restores a file that has the name of its notes as any other", async () => {
    const own = await packSnapshot(lab, async ({ add }) => {
      await add(entryOf("top", { type: "dir", mode: 0o750 }));
      await add(entryOf(NOTES, { size: 4 }), Buffer.from("data"));
      await add(entryOf("top/file", { size: 1 }), Buffer.from("x"));
    });
    for (const again of [false, true]) {
      const to = fresh();
      const target = async () => createLocalTarget(to, { overwrite: "never" });
      const { reporter } = createReportLog();
      const run = { paths: [], localRoot: to, reporter, signal: new AbortController().signal };
      if (again) {
        const artifact = failing(await lab.open(own.place), "top/file");
        expect(await codeOf(runRestore({ ...run, artifact, target: await target() }))).toBe("UNAVAILABLE");
      }
      await runRestore({ ...run, artifact: await lab.open(own.place), target: await target() });
      expect(readFileSync(join(to, NOTES), "utf8")).toBe("data");
      expect(filesBelow(to)).toEqual([NOTES, "top/file"]);
    }
  });

  test("looks for leftovers neither behind a link nor outside the target", async () => {
    const to = fresh();
    const outside = fresh();
    for (const directory of [outside, join(outside, "a"), join(to, "top")]) mkdirSync(directory, { recursive: true });
    for (const directory of [outside, join(outside, "a")]) writeFileSync(join(directory, LEFTOVER), "mine");
    symlinkSync(join(outside, "a"), join(to, "top/a"));
    expect(await codeOf(restore(to, "always"))).toBe("ENTRY_THROUGH_SYMLINK");

    const hostile = entryOf(`../${outside.split("/").at(-1)}/file`, { size: 0 });
    const tar = (async function* () {
      yield tarHeader(hostile);
    })();
    const { reporter } = createReportLog();
    const target = await createLocalTarget(to);
    const run = runRestore({ tar, target, localRoot: to, reporter, signal: new AbortController().signal });
    expect(await codeOf(run)).toBe("ENTRY_PATH_UNSAFE");
    expect(filesBelow(outside)).toEqual([LEFTOVER, `a/${LEFTOVER}`]);
  });

  test("removes leftovers before it says that there is no room", async () => {
    const to = fresh();
    mkdirSync(join(to, "top/b"), { recursive: true });
    writeFileSync(join(to, "top/b", LEFTOVER), "what a killed attempt had written");
    const target = await createLocalTarget(to);
    const room = async () => ({
      exists: true,
      freeBytes: existsSync(join(to, "top/b", LEFTOVER)) ? 0 : 1000,
      replacedBytes: 0,
    });
    const tight: TreeTarget = {
      put: (...given) => target.put(...given),
      room,
      finish: () => target.finish(),
      abort: () => target.abort(),
    };
    await restore(to, "never", { target: tight });
    expect(filesBelow(to)).toEqual([...FILES].toSorted());
    expect(statSync(join(to, "top/b/3")).size).toBe(FILES[2]?.length);
  });
});

/** An artifact whose storage goes away at one file. */
function failing(artifact: ArtifactReader, path: string | undefined): ArtifactReader {
  return {
    entries: () => artifact.entries(),
    body: async function* (entry) {
      if (entry.path === path) throw new XVaultError("UNAVAILABLE");
      yield* artifact.body(entry);
    },
    prepare: (snapshots) => artifact.prepare(snapshots),
    release: () => artifact.release(),
  };
}
