import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createLocalTarget } from "@xvault/archive";
import { openLocalStore } from "@xvault/storage";
import { connectSource } from "@xvault/source";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createReportLog, keysOf, runVerify, storedObjects, type SnapshotObjects } from "../src/index.ts";
import { because, codeOf, filesBelow, type Lab, type LabBackup, noSshd, openLab, restoreTo } from "./lab.ts";
import { noise } from "./trees.ts";

const BLOCK = 1024 * 1024;
const FILES = 60;
const contentOf = (i: number) => noise(2000 + i * 3300, i + 1);

type Object = "artifact" | "index" | "blocks" | "manifest";
interface Damage {
  what: string;
  object: Object;
  /** Changes the object's bytes, or its file. */
  change: (bytes: Buffer) => Buffer;
  codes: string[];
}

const flip = (at: (size: number) => number) => (bytes: Buffer) => {
  const changed = Buffer.from(bytes);
  const place = at(bytes.length);
  changed[place] = (changed[place] ?? 0) ^ 0x04;
  return changed;
};
const cut = (left: (size: number) => number) => (bytes: Buffer) => bytes.subarray(0, left(bytes.length));
const append = (more: Buffer) => (bytes: Buffer) => Buffer.concat([bytes, more]);
/** Exchanges two runs of bytes. */
const swap = (first: number, second: number, length: number) => (bytes: Buffer) => {
  const changed = Buffer.from(bytes);
  bytes.copy(changed, first, second, second + length);
  bytes.copy(changed, second, first, first + length);
  return changed;
};

const CORRUPT = ["ARTIFACT_CORRUPT"];
const damages: Damage[] = [
  ...[0, 0.001, 0.1, 0.25, 0.5, 0.75, 0.9].map((share): Damage => ({
    what: `a bit flipped at ${share * 100} %`,
    object: "artifact",
    change: flip((size) => Math.floor(size * share)),
    codes: CORRUPT,
  })),
  { what: "its last bit flipped", object: "artifact", change: flip((size) => size - 1), codes: CORRUPT },
  { what: "its last byte cut off", object: "artifact", change: cut((size) => size - 1), codes: ["ARCHIVE_TRUNCATED"] },
  { what: "cut at a block", object: "artifact", change: cut(() => 3 * BLOCK), codes: ["ARCHIVE_TRUNCATED"] },
  { what: "emptied", object: "artifact", change: cut(() => 0), codes: ["ARCHIVE_TRUNCATED"] },
  { what: "a byte appended", object: "artifact", change: append(Buffer.from([0])), codes: ["TRAILING_DATA"] },
  { what: "a block appended", object: "artifact", change: append(noise(BLOCK, 99)), codes: ["TRAILING_DATA"] },
  { what: "two blocks spliced", object: "artifact", change: swap(BLOCK, 3 * BLOCK, BLOCK), codes: CORRUPT },
  {
    what: "two of age's chunks spliced",
    object: "artifact",
    change: swap(200 + 65_552, 200 + 5 * 65_552, 65_552),
    codes: CORRUPT,
  },
  {
    what: "a block overwritten with another",
    object: "artifact",
    change: (bytes) => Buffer.concat([bytes.subarray(0, BLOCK), bytes.subarray(0, BLOCK), bytes.subarray(2 * BLOCK)]),
    codes: CORRUPT,
  },
  ...[0, 0.3, 0.6, 0.999].map((share): Damage => ({
    what: `a bit flipped at ${share * 100} %`,
    object: "index",
    change: flip((size) => Math.floor(size * share)),
    codes: CORRUPT,
  })),
  { what: "cut", object: "index", change: cut((size) => size - 100), codes: ["ARCHIVE_TRUNCATED"] },
  { what: "a byte appended", object: "index", change: append(Buffer.from([0])), codes: ["TRAILING_DATA"] },
  { what: "two parts spliced", object: "index", change: swap(300, 900, 300), codes: CORRUPT },
  { what: "a bit flipped", object: "blocks", change: flip((size) => size / 2), codes: CORRUPT },
  { what: "cut", object: "blocks", change: cut((size) => size - 32), codes: CORRUPT },
  { what: "cut within a hash", object: "blocks", change: cut((size) => size - 1), codes: CORRUPT },
  { what: "a hash appended", object: "blocks", change: append(Buffer.alloc(32)), codes: CORRUPT },
  { what: "two hashes spliced", object: "blocks", change: swap(32, 96, 32), codes: CORRUPT },
  { what: "cut", object: "manifest", change: cut((size) => size - 1), codes: ["ARCHIVE_MALFORMED"] },
  { what: "a brace appended", object: "manifest", change: append(Buffer.from("}")), codes: ["ARCHIVE_MALFORMED"] },
  { what: "white space appended", object: "manifest", change: append(Buffer.from("\n")), codes: ["SIGNATURE_INVALID"] },
  {
    what: "another's tenant written into it",
    object: "manifest",
    change: (bytes) =>
      Buffer.from(
        bytes.toString().replace(/"tenant_id":"[^"]+"/, `"tenant_id":"${"0".repeat(8)}-0000-4000-8000-000000000000"`),
      ),
    codes: ["SIGNATURE_INVALID"],
  },
  {
    what: "a member added",
    object: "manifest",
    change: (bytes) => Buffer.from(bytes.toString().replace("{", '{"added":1,')),
    codes: ["SIGNATURE_INVALID"],
  },
];

describe.skipIf(noSshd)(`promise 14: damage is found before a byte of it is used${because(noSshd)}`, () => {
  let lab: Lab;
  let tree: string;
  let good: LabBackup;
  let objects: (change?: Damage) => Promise<SnapshotObjects>;
  beforeAll(async () => {
    lab = await openLab();
    tree = join(lab.sshd.home, "tree");
    mkdirSync(tree);
    for (let i = 0; i < FILES; i += 1) writeFileSync(join(tree, String(i)), contentOf(i));
    good = await lab.backup([tree]);
    if (good.manifest.blocks.count < 6) throw new Error("the snapshot is too small for what is done to it");

    const copy = join(lab.dir, "damaged");
    const keys = keysOf(good.place);
    objects = async (damage) => {
      rmSync(copy, { recursive: true, force: true });
      cpSync(join(lab.storeRoot, keys.dir), join(copy, keys.dir), { recursive: true });
      if (damage) {
        const path = join(copy, keys[damage.object]);
        const bytes = readFileSync(path);
        const changed = damage.change(bytes);
        if (changed.equals(bytes)) throw new Error(`${damage.what} changes nothing`);
        writeFileSync(path, changed);
      }
      return storedObjects(await openLocalStore({ root: copy }), good.place);
    };
  });
  afterAll(() => lab?.stop());

  /** How many files stand in a target. All of them must be whole, and nothing else may be there. */
  function wholeFiles(to: string): number {
    const names = existsSync(to + tree) ? readdirSync(to + tree) : [];
    for (const name of names)
      expect(readFileSync(join(to + tree, name)).equals(contentOf(Number(name))), name).toBe(true);
    expect(filesBelow(to).length).toBe(names.length);
    return names.length;
  }

  const verify = async (damaged: SnapshotObjects, deep: boolean) => {
    const checked = await lab.check(good.place, damaged);
    const { reporter } = createReportLog();
    const artifact = deep ? await lab.open(good.place, { objects: damaged }) : null;
    return runVerify({ checked, artifact, reporter, signal: new AbortController().signal });
  };

  test("control: the untouched copy restores wholly and verifies", async () => {
    const untouched = await objects();
    const to = join(lab.dir, "control");
    await lab.restore(good.place, to, { objects: untouched });
    expect(wholeFiles(to)).toBe(FILES);
    const { plain_bytes } = good.manifest.contents;
    expect(await verify(untouched, false)).toEqual({
      type: "verify",
      depth: "whole",
      files: 0,
      bytes: good.manifest.artifact.size_bytes,
    });
    expect(await verify(untouched, true)).toEqual({
      type: "verify",
      depth: "content",
      files: FILES,
      bytes: plain_bytes,
    });
  });

  for (const [number, damage] of damages.entries()) {
    test(`${damage.object}: ${damage.what} → ${damage.codes.join(" or ")}`, async () => {
      const damaged = await objects(damage);
      const to = join(lab.dir, `damaged-${number}`);
      expect(damage.codes).toContain(await codeOf(lab.restore(good.place, to, { objects: damaged })));
      expect(wholeFiles(to)).toBeLessThan(FILES);
      expect(damage.codes).toContain(await codeOf(verify(damaged, false)));
    });
  }

  test("what lies before a damaged block is restored, what lies in it and behind it is not", async () => {
    const damaged = await objects({
      what: "",
      object: "artifact",
      change: flip((size) => Math.floor(size * 0.7)),
      codes: [],
    });
    const to = join(lab.dir, "in-the-middle");
    expect(await codeOf(lab.restore(good.place, to, { objects: damaged }))).toBe("ARTIFACT_CORRUPT");
    const whole = wholeFiles(to);
    expect(whole).toBeGreaterThan(0);
    expect(whole).toBeLessThan(FILES);
  });

  test("over SFTP to the source too, nothing of a damaged file stands in the target", async () => {
    const damaged = await objects({
      what: "",
      object: "artifact",
      change: flip((size) => Math.floor(size * 0.7)),
      codes: [],
    });
    const connection = await connectSource(lab.connectOptions());
    try {
      const restore = async (from: SnapshotObjects, to: string) =>
        restoreTo(await lab.open(good.place, { objects: from }), await connection.target(to));
      const to = join(lab.sshd.home, "restored-damaged");
      expect(await codeOf(restore(damaged, to))).toBe("ARTIFACT_CORRUPT");
      expect(wholeFiles(to)).toBeLessThan(FILES);
      const control = join(lab.sshd.home, "restored-control");
      await restore(await objects(), control);
      expect(wholeFiles(control)).toBe(FILES);
    } finally {
      connection.close();
    }
  });

  test("a bit flipped anywhere in the manifest is refused before any other object is read", async () => {
    const bytes = readFileSync(join(lab.storeRoot, keysOf(good.place).manifest));
    const untouched = await objects();
    const never = () => Promise.reject(new Error("an object was read before the manifest was found genuine"));
    const others = { artifact: never, index: never, blocks: never, earlier: untouched.earlier };
    const check = (manifest: Buffer) => codeOf(lab.check(good.place, { manifest: async () => manifest, ...others }));
    for (let at = 0; at < bytes.length; at += 3) {
      expect(["ARCHIVE_MALFORMED", "SIGNATURE_INVALID"], `at ${at}`).toContain(await check(flip(() => at)(bytes)));
    }
    expect(await codeOf(lab.check(good.place, { ...untouched, manifest: async () => bytes }))).toBe("none");
  });

  test("an object that is gone is told as such", async () => {
    const keys = keysOf(good.place);
    for (const object of ["artifact", "index", "blocks", "manifest"] as const) {
      const store = await objects();
      rmSync(join(lab.dir, "damaged", keys[object]));
      const to = join(lab.dir, `without-${object}`);
      expect(await codeOf(lab.restore(good.place, to, { objects: store }))).toBe("ARTIFACT_MISSING");
      expect(filesBelow(to)).toEqual([]);
    }
  });

  test("an object that shrinks after it was checked ends the restore, and no short file stands there", async () => {
    const store = await objects();
    const artifact = await lab.open(good.place, { objects: store });
    truncateSync(join(lab.dir, "damaged", keysOf(good.place).artifact), 2 * BLOCK);
    const to = join(lab.dir, "shrunk");
    const code = await codeOf(restoreTo(artifact, await createLocalTarget(to)));
    expect(["ARCHIVE_TRUNCATED", "ARTIFACT_CORRUPT"]).toContain(code);
    expect(wholeFiles(to)).toBeLessThan(FILES);
  });
});
