import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FILES, type MadeStorage, makeStorage } from "./made-snapshot.ts";
import {
  expectDirectories,
  expectWhole,
  openGround,
  ownFilesBelow,
  recoverArgs,
  runWithSignal,
} from "./recover-ground.ts";
import { runHere } from "./run-cli.ts";

const ground = openGround();
const NOTES = ".xvault-restore-made";
/** The first file and the second have their names; the third has none yet. */
const IN_THE_MIDDLE = 3;

let storage: MadeStorage;
beforeAll(async () => {
  storage = await makeStorage(ground.dir);
  await storage.backUp();
});
afterAll(ground.remove);

const nameOf = (path: string): string => path.split("/").at(-1) ?? "";
const found = (target: string): string[] =>
  FILES.map(([path]) => path.toString()).filter((path) => existsSync(join(target, path)));
const mode = (path: string): number => statSync(path).mode & 0o7777;

/** A recovery to `target` that is killed when it has restored some files. */
async function kill(target: string, ...args: string[]): Promise<void> {
  const argv = [...recoverArgs(storage, target), ...args];
  const killed = await runWithSignal(argv, { signal: "SIGKILL", nth: IN_THE_MIDDLE });
  expect(killed.signal, killed.err).toBe("SIGKILL");
}

describe("a recovery that was killed", () => {
  it("is continued with --overwrite if-changed: what is whole is left, the rest comes, nothing stays behind", async () => {
    const target = ground.fresh();
    await kill(target);
    const before = found(target);
    expect(before.length).toBe(IN_THE_MIDDLE - 1);
    expect(mode(join(target, "srv"))).toBe(0o700);
    const [temporary = "", ...more] = ownFilesBelow(target).filter((path) => path !== NOTES);
    expect(more).toEqual([]);
    expect(nameOf(temporary)).toMatch(/^\.xvault-[0-9a-f]{12}-\d+\.tmp$/);
    const inodes = before.map((path) => statSync(join(target, path)).ino);

    const refused = await runHere(recoverArgs(storage, target));
    expect(refused.code).toBe(1);
    expect(refused.err).toContain("error TARGET_NOT_EMPTY");
    expect(refused.err).toMatch(/^fix: .*--overwrite if-changed/m);

    const ran = await runHere([...recoverArgs(storage, target), "--overwrite", "if-changed", "--json"]);
    expect(ran.code, ran.out).toBe(0);
    expect(ran.messages().at(-1)).toMatchObject({ files_skipped: before.length, damaged: 0 });
    expectWhole(target);
    expectDirectories(target);
    expect(before.map((path) => statSync(join(target, path)).ino)).toEqual(inodes);
    expect(ownFilesBelow(target)).toEqual([]);
  });

  it.each(["always", "if-newer", "never"])(
    "is continued with --overwrite %s too, directories and all",
    async (policy) => {
      const target = ground.fresh();
      await kill(target);
      const ran = await runHere([...recoverArgs(storage, target), "--overwrite", policy]);
      expect(ran.code, ran.err).toBe(0);
      expectWhole(target);
      expectDirectories(target);
      expect(ownFilesBelow(target)).toEqual([]);
    },
  );

  it("may be killed more than once", async () => {
    const target = ground.fresh();
    await kill(target);
    await kill(target, "--overwrite", "never");
    expect(found(target).length).toBeGreaterThanOrEqual(IN_THE_MIDDLE);
    const ran = await runHere([...recoverArgs(storage, target), "--overwrite", "never"]);
    expect(ran.code, ran.err).toBe(0);
    expectWhole(target);
    expectDirectories(target);
    expect(ownFilesBelow(target)).toEqual([]);
  });

  it("and continued under 'never' leaves directories as they are that somebody made before it, or changed since", async () => {
    const own = ground.fresh();
    mkdirSync(join(own, "srv"), { recursive: true });
    chmodSync(join(own, "srv"), 0o700);
    await kill(own, "--overwrite", "never");
    const ran = await runHere([...recoverArgs(storage, own), "--overwrite", "never"]);
    expect(ran.code, ran.err).toBe(0);
    expect(mode(join(own, "srv"))).toBe(0o700);
    expect(mode(join(own, "srv/app"))).toBe(0o750);

    const changed = ground.fresh();
    await kill(changed);
    chmodSync(join(changed, "srv/app"), 0o711);
    await runHere([...recoverArgs(storage, changed), "--overwrite", "never"]);
    expect(mode(join(changed, "srv/app"))).toBe(0o711);
    expect(mode(join(changed, "srv"))).toBe(0o755);
  });
});

it("a recovery that is interrupted says how it is continued", async () => {
  const target = ground.fresh();
  const stopped = await runWithSignal(recoverArgs(storage, target), { signal: "SIGINT", nth: IN_THE_MIDDLE });
  expect(stopped.status).toBe(130);
  expect(stopped.err).toMatch(/^error CANCELLED: /m);
  expect(stopped.err).toMatch(/^fix: .*--overwrite if-changed/m);
  expect(ownFilesBelow(target)).toEqual([NOTES]);
  const ran = await runHere([...recoverArgs(storage, target), "--overwrite", "if-changed"]);
  expect(ran.code, ran.err).toBe(0);
  expectWhole(target);
  expectDirectories(target);
});

describe("what is there when a recovery begins", () => {
  it("stays under 'never' with its mode and time, and counts as left", async () => {
    const target = ground.fresh();
    mkdirSync(join(target, "srv/app"), { recursive: true });
    writeFileSync(join(target, "srv/app/hello.txt"), "mine");
    chmodSync(join(target, "srv/app"), 0o700);
    const ran = await runHere([...recoverArgs(storage, target), "--overwrite", "never"]);
    expect(ran.code, ran.err).toBe(0);
    expect(readFileSync(join(target, "srv/app/hello.txt"), "utf8")).toBe("mine");
    expect(mode(join(target, "srv/app"))).toBe(0o700);
    expect(ran.out).toContain(", 3 left as they were.");
  });

  it("is removed where it is an unfinished file of a restore, and nothing else is", async () => {
    const target = ground.fresh();
    const outside = ground.directory("outside");
    mkdirSync(join(target, "srv/app/.xvault-00112233aabb-4.tmp"), { recursive: true });
    mkdirSync(join(target, "mine"));
    const leftover = ".xvault-0123456789ab-12.tmp";
    const similar = [
      ".xvault-0123456789ab-12.tmp.txt",
      "a.xvault-0123456789ab-12.tmp",
      ".xvault-0123456789AB-12.tmp",
      ".xvault-0123456789ab-012.tmp",
      ".xvault-0123456789a-12.tmp",
      ".xvault-0123456789ab-.tmp",
      ".xvault-0123456789ab-12.tmp\n",
    ];
    for (const directory of ["", "srv", "srv/app"]) {
      for (const name of [leftover, ...similar]) writeFileSync(join(target, directory, name), name);
    }
    // Where nothing is restored to nothing is looked for, least of all behind a link.
    writeFileSync(join(target, "mine", leftover), "mine");
    writeFileSync(join(outside, leftover), "mine");
    symlinkSync(outside, join(target, "link"));
    symlinkSync(join(outside, leftover), join(target, "srv/.xvault-0123456789ab-7.tmp"));

    const ran = await runHere([...recoverArgs(storage, target), "--overwrite", "always"]);
    expect(ran.code, ran.err).toBe(0);
    expectWhole(target);
    for (const directory of ["", "srv", "srv/app"]) {
      expect(existsSync(join(target, directory, leftover)), directory).toBe(false);
      for (const name of similar) expect(readFileSync(join(target, directory, name), "utf8")).toBe(name);
    }
    for (const kept of [join(target, "mine"), outside, join(target, "link")]) {
      expect(readFileSync(join(kept, leftover), "utf8"), kept).toBe("mine");
    }
    expect(readlinkSync(join(target, "srv/.xvault-0123456789ab-7.tmp"))).toBe(join(outside, leftover));
    expect(statSync(join(target, "srv/app/.xvault-00112233aabb-4.tmp")).isDirectory()).toBe(true);
  });

  it("is not taken for the notes of a restore when it only has their name", async () => {
    const forged = `xvault restore 1\nmade ${Buffer.from("srv").toString("base64")} ;`;
    const outside = join(ground.directory("notes"), "file");
    const plants: ((notes: string) => void)[] = [
      (notes) => writeFileSync(notes, "a file of mine"),
      (notes) => {
        // Anybody could have written it.
        writeFileSync(notes, forged);
        chmodSync(notes, 0o666);
      },
      (notes) => {
        writeFileSync(outside, forged);
        symlinkSync(outside, notes);
      },
      (notes) => mkdirSync(notes),
    ];
    for (const [number, plant] of plants.entries()) {
      const target = ground.fresh();
      mkdirSync(join(target, "srv"), { recursive: true });
      chmodSync(join(target, "srv"), 0o700);
      utimesSync(join(target, "srv"), 1, 1);
      plant(join(target, NOTES));
      const ran = await runHere([...recoverArgs(storage, target), "--overwrite", "never"]);
      expect(ran.code, ran.err).toBe(0);
      expect([number, mode(join(target, "srv")), readdirSync(target).toSorted()]).toEqual([
        number,
        0o700,
        [NOTES, "srv"],
      ]);
    }
    expect(readFileSync(outside, "utf8")).toBe(forged);
  });
});
