import { execFileSync } from "node:child_process";
import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { createLocalTarget } from "@xvault/archive";
import { pathToApi } from "@xvault/contracts";
import type { OverwritePolicy, TreeTarget } from "@xvault/kernel";
import { connectSource, type SourceConnection } from "@xvault/source";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { because, codeOf, filesBelow, type Lab, type LabBackup, noSshd, openLab, restoreTo } from "./lab.ts";

const ODD = Buffer.concat([Buffer.from("not UTF-8 "), Buffer.from([0xff, 0xfe])]);

describe.skipIf(noSshd)(`promise 31: a part of a snapshot restores as well as the whole${because(noSshd)}`, () => {
  let lab: Lab;
  let tree: string;
  let good: LabBackup;
  let connection: SourceConnection;
  const targets: Record<string, (to: string, overwrite?: OverwritePolicy) => Promise<TreeTarget>> = {
    "a local directory": (to, overwrite = "never") => createLocalTarget(to, { overwrite }),
    "a path on the source": (to, overwrite = "never") => connection.target(to, { overwrite }),
  };

  beforeAll(async () => {
    lab = await openLab();
    connection = await connectSource(lab.connectOptions());
    tree = join(lab.sshd.home, "tree");
    mkdirSync(join(tree, "dir/inner"), { recursive: true });
    mkdirSync(join(tree, "dir and more"));
    writeFileSync(join(tree, "content"), "shared content");
    linkSync(join(tree, "content"), join(tree, "dir/hard 1"));
    linkSync(join(tree, "content"), join(tree, "dir/inner/hard 2"));
    writeFileSync(join(tree, "dir/inner/file"), "inner");
    writeFileSync(join(tree, "dir and more/file"), "neighbour");
    writeFileSync(Buffer.concat([Buffer.from(`${tree}/dir/`), ODD]), "odd");
    symlinkSync("inner/file", join(tree, "dir/link"));
    good = await lab.backup([tree], { transport: "tar" });
  });
  afterAll(async () => {
    connection?.close();
    await lab?.stop();
  });

  const at = (name: string) => join(tree, name);
  const restore = async (to: TreeTarget, paths: string[]) => restoreTo(await lab.open(good.place), to, paths);
  let count = 0;
  const fresh = () => join(lab.dir, `part-${(count += 1)}`);

  for (const [name, open] of Object.entries(targets)) {
    describe(`to ${name}`, () => {
      test("one file, and nothing else", async () => {
        const to = fresh();
        const result = await restore(await open(to), [at("dir/inner/file")]);
        expect(result).toEqual({ type: "restore", written: 1, skipped: 0, bytes: 5, problems: 0 });
        expect(filesBelow(to)).toEqual([at("dir/inner/file").slice(1)]);
        expect(readFileSync(to + at("dir/inner/file"), "utf8")).toBe("inner");
      });

      test("a directory with all below it, and not its neighbour with a longer name", async () => {
        const to = fresh();
        await restore(await open(to), [`${at("dir")}/`]);
        expect(readdirSync(to + tree)).toEqual(["dir"]);
        expect(readdirSync(to + at("dir"), { encoding: "latin1" }).sort()).toEqual(
          ["hard 1", "inner", "link", ODD.toString("latin1")].sort(),
        );
      });

      test("hard links whose content lies outside the selection: the content comes along, and they stay linked", async () => {
        const to = fresh();
        await restore(await open(to), [at("dir")]);
        expect(existsSync(to + at("content"))).toBe(false);
        for (const name of ["dir/hard 1", "dir/inner/hard 2"]) {
          expect(readFileSync(to + at(name), "utf8")).toBe("shared content");
          expect(lstatSync(to + at(name)).nlink).toBe(2);
          expect(lstatSync(to + at(name)).mtimeMs).toBeCloseTo(lstatSync(at(name)).mtimeMs, -4);
        }
      });

      test("a hard link together with what it links to stays a link", async () => {
        const to = fresh();
        await restore(await open(to), [at("content"), at("dir/hard 1")]);
        expect(lstatSync(to + at("content")).ino).toBe(lstatSync(to + at("dir/hard 1")).ino);
      });

      test("a name that is not UTF-8, as the API carries it", async () => {
        const to = fresh();
        const path = Buffer.concat([Buffer.from(at("dir").slice(1)), Buffer.from("/"), ODD]);
        expect(pathToApi(path)).toMatch(/^b64:/);
        await restore(await open(to), [pathToApi(path)]);
        expect(readFileSync(Buffer.concat([Buffer.from(`${to}/`), path]), "utf8")).toBe("odd");
      });

      test("NOT_FOUND for a path that names nothing, before anything is written", async () => {
        for (const wrong of ["/nowhere", at("dir/inn"), `${at("content")}/below`, at("DIR"), tree.slice(0, -1)]) {
          const to = fresh();
          const failure = restore(await open(to), [at("content"), wrong]);
          await expect(failure, wrong).rejects.toMatchObject({
            code: "NOT_FOUND",
            message: expect.stringContaining(wrong),
          });
          expect(filesBelow(to)).toEqual([]);
        }
      });

      test.each([
        ["never", { old: "kept", young: "kept", same: "kept" }],
        ["if-newer", { old: "replaced", young: "kept", same: "kept" }],
        ["if-changed", { old: "replaced", young: "replaced", same: "kept" }],
        ["always", { old: "replaced", young: "replaced", same: "replaced" }],
      ] as const)("what is there already, under the policy '%s'", async (policy, expected) => {
        const home = join(lab.sshd.home, `policy-${name}-${policy}`);
        const to = fresh();
        const size = "from the snapshot".length;
        for (const [what, shift] of [
          ["old", -1000],
          ["young", 1000],
          ["same", 0],
          ["missing", 0],
        ] as const) {
          mkdirSync(home, { recursive: true });
          writeFileSync(join(home, what), "from the snapshot");
          utimesSync(join(home, what), 1_700_000_000, 1_700_000_000);
          if (what === "missing") continue;
          mkdirSync(to + home, { recursive: true });
          writeFileSync(join(to + home, what), "x".repeat(size));
          utimesSync(join(to + home, what), 1_700_000_000 + shift, 1_700_000_000 + shift);
        }
        const { place } = await lab.backup([home]);
        const result = await restoreTo(await lab.open(place), await open(to, policy));
        const found = Object.fromEntries(
          ["old", "young", "same", "missing"].map((what) => [
            what,
            readFileSync(join(to + home, what), "utf8") === "from the snapshot" ? "replaced" : "kept",
          ]),
        );
        expect(found).toEqual({ ...expected, missing: "replaced" });
        const kept = Object.values(expected).filter((one) => one === "kept").length;
        // The directory itself counts too: under 'never' one that was there is left as it is.
        expect(result.skipped).toBe(kept + (policy === "never" ? 1 : 0));
        expect(filesBelow(to).length).toBe(4);
      });

      test("a directory in a file's place is a conflict, and stays", async () => {
        const to = fresh();
        mkdirSync(`${to}${at("content")}/mine`, { recursive: true });
        expect(await codeOf(restore(await open(to, "always"), [at("content")]))).toBe("ENTRY_CONFLICT");
        expect(readdirSync(to + at("content"))).toEqual(["mine"]);
      });
    });
  }

  test("promise 32: a link that somebody put in the target is not followed out of it", async () => {
    const outside = fresh();
    execFileSync("mkdir", ["-p", outside]);
    for (const open of Object.values(targets)) {
      const to = fresh();
      mkdirSync(to + tree, { recursive: true });
      symlinkSync(outside, to + at("dir"));
      expect(await codeOf(restore(await open(to, "always"), [at("dir/inner/file")]))).toBe("ENTRY_THROUGH_SYMLINK");
      expect(readdirSync(outside)).toEqual([]);
    }
  });
});
