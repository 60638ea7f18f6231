import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type ByteReader, XVaultError } from "@xvault/kernel";
import type { ObjectStore } from "@xvault/storage";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createReportLog, runBackup, runVerify, type SnapshotObjects, storedObjects } from "../src/index.ts";
import { because, codeOf, type Lab, type LabBackup, noSshd, openLab } from "./lab.ts";
import { noise } from "./trees.ts";

type Name = Exclude<keyof SnapshotObjects, "earlier">;

/** Flips a bit of what a read gives, as long as there are faults left. */
class Garbler {
  left: number;
  done = 0;
  constructor(faults: number) {
    this.left = faults;
  }
  pass(bytes: Buffer): Buffer {
    if (this.left === 0 || bytes.length === 0) return bytes;
    this.left -= 1;
    this.done += 1;
    const garbled = Buffer.from(bytes);
    const at = Math.floor(bytes.length / 2);
    garbled[at] = (garbled[at] ?? 0) ^ 1;
    return garbled;
  }
  reader(reader: ByteReader, skip = 0): ByteReader {
    let reads = 0;
    return {
      size: reader.size,
      read: async (offset, length) => {
        const bytes = await reader.read(offset, length);
        reads += 1;
        return reads > skip ? this.pass(bytes) : bytes;
      },
    };
  }
}

describe.skipIf(noSshd)(`promise 18: a transient read error is not called corruption${because(noSshd)}`, () => {
  let lab: Lab;
  let tree: string;
  let good: LabBackup;
  beforeAll(async () => {
    lab = await openLab();
    tree = join(lab.sshd.home, "tree");
    mkdirSync(tree);
    for (let i = 0; i < 30; i += 1) writeFileSync(join(tree, String(i)), noise(150_000, i));
    good = await lab.backup([tree]);
  });
  afterAll(() => lab?.stop());

  function garbled(name: Name, garbler: Garbler, skip = 0): SnapshotObjects {
    const objects = storedObjects(lab.store, good.place);
    const small = async (read: () => Promise<Buffer>) => garbler.pass(await read());
    const large = async (open: () => Promise<ByteReader>) => garbler.reader(await open(), skip);
    switch (name) {
      case "manifest":
      case "blocks":
        return { ...objects, [name]: () => small(objects[name]) };
      default:
        return { ...objects, [name]: () => large(objects[name]) };
    }
  }

  const cases: [Name, number][] = [
    ["manifest", 0],
    ["blocks", 0],
    ["index", 0],
    ["index", 1],
    ["artifact", 0],
    ["artifact", 1],
    ["artifact", 2],
  ];
  for (const [name, skip] of cases) {
    test(`${name}: one garbled read (after ${skip} good ones) is read again; garbled ones without end are told`, async () => {
      const once = new Garbler(1);
      const to = join(lab.dir, `${name}-${skip}`);
      // An index that is too large to be held is read again for every pass over it.
      await lab.restore(good.place, to, { objects: garbled(name, once, skip), heldIndexBytes: 0 });
      expect(once.done).toBe(1);
      for (let i = 0; i < 30; i += 1) expect(readFileSync(`${to}${tree}/${i}`).equals(noise(150_000, i))).toBe(true);

      const always = garbled(name, new Garbler(Number.POSITIVE_INFINITY), skip);
      const code = await codeOf(
        lab.restore(good.place, join(lab.dir, `${name}-${skip}-always`), { objects: always, heldIndexBytes: 0 }),
      );
      expect(name === "manifest" ? ["SIGNATURE_INVALID", "ARCHIVE_MALFORMED"] : ["ARTIFACT_CORRUPT"]).toContain(code);
    });
  }

  test("a storage that fails in the middle is told as such, and the next try succeeds", async () => {
    let broken = true;
    const objects = storedObjects(lab.store, good.place);
    const failing: SnapshotObjects = {
      ...objects,
      artifact: async () => {
        const reader = await objects.artifact();
        return {
          size: reader.size,
          read: async (offset, length) => {
            if (broken && offset > 2_000_000) throw new XVaultError("STORAGE_FAILED", "The disk did not answer.");
            return reader.read(offset, length);
          },
        };
      },
    };
    const checked = await lab.check(good.place, failing);
    const verify = () =>
      runVerify({
        checked,
        artifact: null,
        reporter: createReportLog().reporter,
        signal: new AbortController().signal,
      });
    await expect(verify()).rejects.toMatchObject({ code: "STORAGE_FAILED" });
    broken = false;
    // The same opened snapshot: a failed read is not kept as if it were what lies there.
    expect(await verify()).toMatchObject({ bytes: good.manifest.artifact.size_bytes });
  });

  describe("when a backup reads back what it stored", () => {
    const withReader = (garbler: Garbler): ObjectStore => ({
      ...lab.store,
      reader: async (key) => garbler.reader(await lab.store.reader(key)),
    });

    test("one garbled read is made again", async () => {
      const garbler = new Garbler(1);
      const { place } = await lab.backup([tree], { store: withReader(garbler) });
      expect(garbler.done).toBe(1);
      expect(await codeOf(lab.check(place))).toBe("none");
    });

    test("garbled ones without end fail the run, and nothing is left of it", async () => {
      const run = lab.run([tree], { store: withReader(new Garbler(Number.POSITIVE_INFINITY)) });
      await expect(runBackup(run)).rejects.toMatchObject({ code: "ARTIFACT_CORRUPT", retry: true });
      expect([run.published, lab.leftovers(run.place)]).toEqual([[], []]);
    });
  });
});
