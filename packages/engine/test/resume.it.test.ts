import { chmodSync, existsSync, lstatSync, mkdirSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { symlinkSync } from "node:fs";
import { join } from "node:path";
import type { OverwritePolicy } from "@xvault/kernel";
import { connectSource } from "@xvault/source";
import { type FaultyProxy, startProxy } from "@xvault/test-kit/proxy";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { because, codeOf, filesBelow, type Lab, type LabBackup, noSshd, openLab, restoreTo } from "./lab.ts";
import { differences, noise, wholeSeconds } from "./trees.ts";

const TOLERANCE = { time: wholeSeconds } as const;

describe.skipIf(noSshd)(`a restore over SSH that broke off goes on where it stood${because(noSshd)}`, () => {
  let lab: Lab;
  let proxy: FaultyProxy;
  let tree: string;
  let good: LabBackup;
  let count = 0;

  beforeAll(async () => {
    lab = await openLab();
    proxy = await startProxy({ port: lab.sshd.port });
    tree = join(lab.sshd.home, "tree");
    for (let d = 0; d < 8; d += 1) {
      mkdirSync(join(tree, `d${d}`), { recursive: true });
      for (let f = 0; f < 60; f += 1) writeFileSync(join(tree, `d${d}/f${f}`), noise(3000, d * 100 + f));
      writeFileSync(join(tree, `d${d}/large`), noise(1_500_000, d));
      symlinkSync("f1", join(tree, `d${d}/link`));
      utimesSync(join(tree, `d${d}`), 1_500_000_000, 1_500_000_000);
      chmodSync(join(tree, `d${d}`), 0o751);
    }
    good = await lab.backup([tree], { transport: "tar" });
  });
  afterAll(async () => {
    await proxy?.stop();
    await lab?.stop();
  });

  /** One attempt, over a link that is reset when so many bytes have come back. */
  async function attempt(to: string, overwrite: OverwritePolicy, resetAfter?: number, resume = "a-restore") {
    proxy.setFaults({ resetAfter });
    const connection = await connectSource(lab.connectOptions({ port: proxy.port }));
    try {
      const target = await connection.target(to, { overwrite, resume });
      return await restoreTo(await lab.open(good.place), target);
    } finally {
      connection.close();
    }
  }

  const written = (to: string) =>
    new Map(
      filesBelow(to)
        .map((path) => [path, lstatSync(join(to, path)).ino] as const)
        .filter(([path]) => !isOwn(path)),
    );
  const isOwn = (path: string) => path.includes(".xvault-");
  const fresh = () => join(lab.sshd.home, `to-${(count += 1)}`);

  for (const overwrite of ["never", "always", "if-changed", "if-newer"] as const) {
    test(`'${overwrite}' into a new directory: what is complete is not written again, and all is right in the end`, async () => {
      const to = fresh();
      // On a busy machine much is under way and little done when the link is reset.
      let before = written(to);
      for (let limit = 90_000; before.size <= 50; limit += 20_000) {
        expect(await codeOf(attempt(to, overwrite, limit))).toBe("CONNECTION_LOST");
        before = written(to);
      }
      expect(before.size).toBeLessThan(8 * 62);
      expect(await codeOf(attempt(to, overwrite, 60_000))).toBe("CONNECTION_LOST");
      const result = await attempt(to, overwrite);
      expect(result).toMatchObject({ written: 1 + 8 * 63, skipped: 0, problems: 0 });
      const after = written(to);
      expect([...before].filter(([path, ino]) => after.get(path) !== ino)).toEqual([]);
      expect(differences(to + tree, tree, TOLERANCE)).toEqual([]);
      expect(filesBelow(to).filter(isOwn)).toEqual([]);
    });
  }

  test("control: without a name of the restore, everything is written again under 'always'", async () => {
    const to = fresh();
    await attempt(to, "always");
    const before = written(to);
    const connection = await connectSource(lab.connectOptions());
    try {
      await restoreTo(await lab.open(good.place), await connection.target(to, { overwrite: "always" }));
    } finally {
      connection.close();
    }
    const after = written(to);
    expect([...before].filter(([path, ino]) => after.get(path) === ino)).toEqual([]);
  });

  test("'never' into directories that were there: theirs stay as they were, those that the first attempt made get theirs", async () => {
    const to = fresh();
    mkdirSync(join(to + tree, "d0"), { recursive: true });
    writeFileSync(join(to + tree, "d0/f1"), "mine");
    chmodSync(join(to + tree, "d0"), 0o700);
    utimesSync(join(to + tree, "d0"), 1_400_000_000, 1_400_000_000);
    expect(await codeOf(attempt(to, "never", 90_000))).toBe("CONNECTION_LOST");
    const result = await attempt(to, "never");
    expect(result.skipped).toBeGreaterThanOrEqual(2);
    expect(statSync(join(to + tree, "d0")).mode & 0o7777).toBe(0o700);
    expect(statSync(join(to + tree, "d1")).mode & 0o7777).toBe(0o751);
    expect(statSync(join(to + tree, "d7")).mtimeMs).toBe(1_500_000_000_000);
    const other = differences(to + tree, tree, TOLERANCE).filter((line) => !/^(d0|):|^d0\/f1:/.test(line));
    expect(other).toEqual([]);
  });

  test("'always' over files that were there: those that the first attempt did not reach are replaced, even where size and time agree", async () => {
    const to = fresh();
    await attempt(to, "always", undefined, "an-earlier-one");
    // The same size and time, other bytes: only a policy that asks for it replaces them.
    for (let d = 0; d < 8; d += 1) spoil(join(to + tree, `d${d}/f59`));
    expect(await codeOf(attempt(to, "always", 60_000))).toBe("CONNECTION_LOST");
    await attempt(to, "always");
    expect(differences(to + tree, tree, TOLERANCE)).toEqual([]);
  });

  test("what somebody changed between two attempts is restored again", async () => {
    const to = fresh();
    expect(await codeOf(attempt(to, "always", 90_000))).toBe("CONNECTION_LOST");
    const [first] = [...written(to).keys()];
    writeFileSync(join(to, first ?? ""), "changed meanwhile");
    await attempt(to, "always");
    expect(differences(to + tree, tree, TOLERANCE)).toEqual([]);
  });

  test("a journal that is torn or nonsense costs work, not correctness; one that is a link is not followed", async () => {
    const to = fresh();
    mkdirSync(to);
    writeFileSync(
      join(to, ".xvault-restore-a-restore"),
      "made !!! ;\ndone 99999999999999999999 ;\ndone x ;\nmade ZHVtbXk",
    );
    await attempt(to, "never");
    expect(differences(to + tree, tree, TOLERANCE)).toEqual([]);
    const victim = join(lab.sshd.home, "victim");
    writeFileSync(victim, "untouched");
    const other = fresh();
    mkdirSync(other);
    symlinkSync(victim, join(other, ".xvault-restore-a-restore"));
    await attempt(other, "never");
    expect(statSync(victim).size).toBe("untouched".length);
    expect(existsSync(join(other, ".xvault-restore-a-restore"))).toBe(true);
  });

  function spoil(path: string): void {
    const { atimeMs, mtimeMs, size } = statSync(path);
    writeFileSync(path, Buffer.alloc(size, "!"));
    utimesSync(path, atimeMs / 1000, mtimeMs / 1000);
  }
});
