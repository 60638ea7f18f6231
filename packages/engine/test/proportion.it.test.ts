// Random access: what is read of a storage stays in proportion to what is asked for.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createLocalTarget } from "@xvault/archive";
import { unwrapFileKey } from "@xvault/crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { checkSnapshot, countReads, storedObjects, unsealSnapshot } from "../src/index.ts";
import { because, type Lab, type LabBackup, noSshd, openLab, restoreTo } from "./lab.ts";
import { noise } from "./trees.ts";

const MIB = 1024 * 1024;

describe.skipIf(noSshd)(`one file out of many${because(noSshd)}`, () => {
  let lab: Lab;
  let tree: string;
  let backup: LabBackup;
  beforeAll(async () => {
    lab = await openLab();
    tree = join(lab.sshd.home, "tree");
    mkdirSync(join(tree, "folder"), { recursive: true });
    for (let i = 0; i < 48; i++) writeFileSync(join(tree, `large-${i}`), noise(MIB, i));
    for (let i = 0; i < 500; i++) writeFileSync(join(tree, `folder/small-${i}`), noise(15_000, 1000 + i));
    backup = await lab.backup([tree]);
  });
  afterAll(() => lab?.stop());

  let times = 0;
  /** Restores some paths and gives what was read of the storage for it. */
  const read = async (paths: string[]) => {
    const { objects, count } = countReads(storedObjects(lab.store, backup.place));
    const checked = await checkSnapshot(objects, { rootKeys: [lab.root.publicKey], expect: backup.place });
    const artifact = await unsealSnapshot(checked, {
      artifact: await unwrapFileKey(checked.headers.artifact, [lab.keys.identity]),
      index: await unwrapFileKey(checked.headers.index, [lab.keys.identity]),
    });
    const target = await createLocalTarget(join(lab.dir, `out-${times++}`));
    await restoreTo(artifact, target, paths);
    return count;
  };

  test("a small file costs a few ranges and little more than the frame that it lies in", async () => {
    expect(backup.manifest.artifact.size_bytes).toBeGreaterThan(54 * MIB);
    const { bytes, reads } = await read([`${tree}/folder/small-250`]);
    expect(bytes).toBeLessThan(6 * MIB);
    expect(reads).toBeLessThan(20);
  });

  test("the index is read once, however often it is passed over", async () => {
    const stored = storedObjects(lab.store, backup.place);
    let bytes = 0;
    const index = async () => {
      const reader = await stored.index();
      return {
        size: reader.size,
        read: (offset: number, length: number) => {
          bytes += length;
          return reader.read(offset, length);
        },
      };
    };
    await lab.restore(backup.place, join(lab.dir, "once"), {
      objects: { ...stored, index },
      paths: [`${tree}/folder/small-7`],
    });
    expect(bytes).toBe(backup.manifest.index.size_bytes);
  });

  test("a folder costs its own bytes and the edges, a list of files no more than its frames, everything once what there is", async () => {
    const folder = await read([`${tree}/folder`]);
    expect(folder.bytes).toBeLessThan(500 * 15_000 + 8 * MIB);
    const list = await read([`${tree}/large-3`, `${tree}/large-40`]);
    expect(list.bytes).toBeLessThan(14 * MIB);
    const all = await read([]);
    expect(all.bytes).toBeLessThan(backup.manifest.artifact.size_bytes * 1.2 + 4 * MIB);
    expect(all.bytes).toBeGreaterThan(backup.manifest.artifact.size_bytes);
  });
});
