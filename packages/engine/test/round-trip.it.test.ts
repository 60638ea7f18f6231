import { execFileSync } from "node:child_process";
import {
  appendFileSync,
  chmodSync,
  chownSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { entryFromIndex } from "@xvault/archive";
import { connectSource } from "@xvault/source";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { because, type Lab, noSshd, openLab, restoreTo, TRANSPORTS } from "./lab.ts";
import { differences, look, plantSparse, plantTree, type Tolerance, wholeSeconds } from "./trees.ts";

/** Node sets times as floating-point seconds, which are exact to some 0.2 µs. */
const NODE_TIMES = 1000n;

/** What a pull loses by its transport; all else must come back. */
const LOST = {
  tar: {},
  sftp: { time: wholeSeconds, linksAsFiles: true, holesAsZeros: true },
} as const satisfies Record<string, Tolerance>;

describe.skipIf(noSshd)(`promise 31: restore equals source${because(noSshd)}`, () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await openLab();
  });
  afterAll(() => lab?.stop());

  for (const transport of TRANSPORTS) {
    test.each([1, 2])(`pulled by ${transport}, restored to a local directory (seed %i)`, async (seed) => {
      const tree = join(lab.sshd.home, `${transport}-${seed}`);
      plantTree(tree, seed, { before1970: transport === "tar" });
      const { place, manifest, partial } = await lab.backup([tree], { transport });
      expect(partial).toBe(false);

      const to = join(lab.dir, `local-${transport}-${seed}`);
      const result = await lab.restore(place, to);
      expect(differences(to + tree, tree, { withinNs: NODE_TIMES, ...LOST[transport] })).toEqual([]);

      const things = look(tree);
      const { files, directories, links, problems } = manifest.contents;
      expect(files + directories + links).toBe(things.size);
      expect([problems, result.problems, result.skipped, result.written]).toEqual([0, 0, 0, things.size]);
    });

    test(`pulled by ${transport}, restored over SFTP to a path on the source`, async () => {
      const tree = join(lab.sshd.home, `${transport}-back`);
      plantTree(tree, 4, { before1970: false });
      const { place } = await lab.backup([tree], { transport });
      const connection = await connectSource(lab.connectOptions());
      try {
        const problems: unknown[] = [];
        const to = join(lab.sshd.home, `restored-${transport}`, "below", "what is not there yet");
        const target = await connection.target(to, { onProblem: (problem) => problems.push(problem) });
        await restoreTo(await lab.open(place), target);
        expect(problems).toEqual([]);
        const tolerance = { ...LOST[transport], time: wholeSeconds };
        expect(differences(to + tree, tree, tolerance)).toEqual([]);
      } finally {
        connection.close();
      }
    });
  }

  test("by tar, the index keeps every nanosecond, also before 1970", async () => {
    const tree = join(lab.sshd.home, "times");
    mkdirSync(tree);
    const times = ["-1000000000.123456789", "-1.000000001", "0", "1700000000.123456789", "1700000000.999999999"];
    for (const time of times) {
      writeFileSync(join(tree, time), "t");
      execFileSync("touch", ["-d", `@${time}`, join(tree, time)]);
    }
    const { place } = await lab.backup([tree], { transport: "tar" });
    const found: string[] = [];
    for await (const line of (await lab.open(place)).entries()) {
      if (line.type !== "file") continue;
      expect(line.mtime).toBe(line.path?.slice(line.path.lastIndexOf("/") + 1));
      expect(entryFromIndex(line).mtimeNs).toBe(look(join(tree, line.mtime)).get("")?.mtimeNs);
      found.push(line.mtime);
    }
    expect(found.sort()).toEqual(times.sort());
  });

  test("several paths, a single file and a link at the top come back where they were", async () => {
    const home = join(lab.sshd.home, "several");
    mkdirSync(join(home, "one/inner"), { recursive: true });
    mkdirSync(join(home, "two"));
    writeFileSync(join(home, "one/inner/a"), "a");
    writeFileSync(join(home, "two/b"), "b");
    writeFileSync(join(home, "alone"), "c");
    symlinkSync("two", join(home, "to two"));
    for (const transport of TRANSPORTS) {
      const paths = ["one", "alone", "to two"].map((name) => join(home, name));
      const { place } = await lab.backup(paths, { transport });
      const to = join(lab.dir, `several-${transport}`);
      await lab.restore(place, to);
      const loose = { withinNs: NODE_TIMES, ...LOST[transport] };
      for (const name of ["one", "alone", "two", "to two"]) {
        expect(differences(`${to}${home}/${name}`, `${home}/${name}`, loose)).toEqual([]);
      }
    }
  });

  test("control: the comparison notices each thing that could be different", () => {
    const original = join(lab.dir, "control");
    mkdirSync(join(original, "dir"), { recursive: true });
    writeFileSync(join(original, "dir/file"), "content");
    writeFileSync(join(original, "other"), "content");
    symlinkSync("dir/file", join(original, "link"));
    linkSync(join(original, "other"), join(original, "dir/hard"));
    plantSparse(join(original, "holes"), 2_000_000, [[500_000, 10]]);
    lutimesSync(join(original, "dir/file"), "0", "1700000000.5");
    const spoil: (readonly [string, (root: string) => void])[] = [
      ["other: content is", (root) => writeFileSync(join(root, "other"), "kontent")],
      ["other: size is", (root) => appendFileSync(join(root, "other"), "more")],
      ["dir/file: mode is", (root) => chmodSync(join(root, "dir/file"), 0o601)],
      ["dir/file: time is", (root) => lutimesSync(join(root, "dir/file"), "0", "1700000000.500002")],
      ["dir/file: is missing", (root) => rmSync(join(root, "dir/file"))],
      ["dir/new: is new", (root) => writeFileSync(join(root, "dir/new"), "")],
      [
        "link: content is",
        (root) => {
          unlinkSync(join(root, "link"));
          symlinkSync("dir/fila", join(root, "link"));
        },
      ],
      [
        "link: kind is",
        (root) => {
          unlinkSync(join(root, "link"));
          writeFileSync(join(root, "link"), "");
        },
      ],
      [
        "other: is linked to other, was to dir/hard",
        (root) => {
          unlinkSync(join(root, "dir/hard"));
          execFileSync("cp", ["-p", join(root, "other"), join(root, "dir/hard")]);
        },
      ],
      [
        "holes: its holes were filled",
        (root) => execFileSync("cp", ["-p", "--sparse=never", join(original, "holes"), join(root, "holes")]),
      ],
      ...(process.getuid?.() === 0
        ? [["dir/file: owner is", (root: string) => chownSync(join(root, "dir/file"), 4321, 4321)] as const]
        : []),
    ];
    for (const [number, [said, change]] of spoil.entries()) {
      const copy = join(lab.dir, `control-${number}`);
      execFileSync("cp", ["-a", original, copy]);
      expect(differences(copy, original, { withinNs: NODE_TIMES })).toEqual([]);
      change(copy);
      expect(differences(copy, original, { withinNs: NODE_TIMES }).join("\n")).toContain(said);
    }
  });
});
