// A copy counts as whole only when every object of it was read back; before that the one it came from is not touched.
import { mkdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { manifestSha256 } from "@xvault/crypto";
import { type ObjectStore, openLocalStore } from "@xvault/storage";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createReportLog, keysOf, runBackup, runTransfer, type SnapshotPlace } from "../src/index.ts";
import { because, codeOf, DISKS, filesBelow, type Lab, type LabBackup, noSshd, openLab } from "./lab.ts";
import { noise } from "./trees.ts";

const OTHER = { ...DISKS, id: "00000000-0000-7000-8000-000000000001", name: "other" };
const OBJECTS = ["artifact", "index", "blocks", "meta", "manifest"] as const;
type Name = (typeof OBJECTS)[number];

describe.skipIf(noSshd)(`copies on another storage${because(noSshd)}`, () => {
  let lab: Lab;
  let tree: string;
  let first: LabBackup;
  let second: LabBackup;
  let root: string;
  let to: ObjectStore;
  let stored: string[];
  let copies = 0;

  beforeAll(async () => {
    lab = await openLab();
    tree = join(lab.sshd.home, "tree");
    mkdirSync(tree);
    const hourAgo = new Date(Date.now() - 3_600_000);
    for (let at = 0; at < 20; at += 1) {
      writeFileSync(join(tree, String(at)), noise(150_000, at));
      utimesSync(join(tree, String(at)), hourAgo, hourAgo);
    }
    first = await lab.backup([tree]);
    writeFileSync(join(tree, "new"), "new");
    second = await lab.backup([tree], { base: first });
  });
  afterAll(() => lab?.stop());
  beforeEach(async () => {
    root = join(lab.dir, `to-${(copies += 1)}`);
    to = await openLocalStore({ root });
    stored = [];
  });

  const transfer = (
    backup: LabBackup,
    options: { needs?: SnapshotPlace[]; remove?: boolean; to?: ObjectStore; from?: ObjectStore } = {},
  ) =>
    runTransfer({
      payload: {
        type: "transfer",
        snapshot: backup.place,
        from: DISKS,
        to: OTHER,
        needs: options.needs ?? [],
        remove: options.remove ?? false,
        kept: false,
        sequence: backup.manifest.sequence,
        manifest_sha256: manifestSha256(backup.manifest),
        previous: backup.manifest.previous,
        reason: "a test",
      },
      from: options.from ?? lab.store,
      to: options.to ?? to,
      rootKeys: [lab.root.publicKey],
      signer: { workerId: lab.workerId, ...lab.signer },
      onStored: async ({ snapshot_id }) => void stored.push(snapshot_id),
      reporter: createReportLog().reporter,
      signal: new AbortController().signal,
    });
  const same = ({ place }: LabBackup) => {
    for (const key of Object.values(keysOf(place)).filter((one) => filesBelow(lab.storeRoot).includes(one)))
      expect(readFileSync(join(root, key)).equals(readFileSync(join(lab.storeRoot, key))), key).toBe(true);
  };
  /** The store, of which one object comes to lie with a flipped bit. */
  const spoiling = (store: ObjectStore, key: string): ObjectStore => ({
    ...store,
    async create(wanted) {
      const writer = await store.create(wanted);
      if (wanted !== key) return writer;
      return {
        ...writer,
        get sizeBytes() {
          return writer.sizeBytes;
        },
        write: (piece) => {
          const spoilt = Buffer.from(piece);
          spoilt[spoilt.length >> 1] = (spoilt[spoilt.length >> 1] ?? 0) ^ 1;
          return writer.write(spoilt);
        },
      };
    },
  });

  test("every object arrives as it was, earlier ones that are needed first; again, there is nothing to do", async () => {
    expect(second.manifest.references).toHaveLength(1);
    const run = () => transfer(second, { needs: [first.place] });
    expect(await run()).toMatchObject({ snapshots: 2, freed_bytes: 0 });
    expect(stored).toEqual([first.place.snapshot_id, second.place.snapshot_id]);
    for (const backup of [first, second]) same(backup);
    expect(await run()).toMatchObject({ snapshots: 0, bytes: 0 });
  });

  // Nothing depends on meta.json.
  test.each(OBJECTS.filter((name) => name !== "meta"))(
    "a copy whose %s is damaged or gone is not taken for whole, but made anew",
    async (name) => {
      const key = keysOf(first.place)[name];
      for (const spoil of [
        (path: string) =>
          writeFileSync(path, Buffer.from(readFileSync(path).map((byte, at) => (at === 40 ? byte ^ 1 : byte)))),
        (path: string) => rmSync(path),
      ]) {
        await transfer(first);
        spoil(join(root, key));
        expect(await transfer(first)).toMatchObject({ snapshots: 1 });
        same(first);
        rmSync(root, { recursive: true });
        to = await openLocalStore({ root });
      }
    },
  );

  test.each(OBJECTS)(
    "a storage that spoils the %s gets no copy, and the one that was to go stays",
    async (name: Name) => {
      const before = lab.leftovers(first.place);
      const spoilt = spoiling(to, keysOf(first.place)[name]);
      await expect(transfer(first, { remove: true, to: spoilt })).rejects.toMatchObject({
        code: "ARTIFACT_CORRUPT",
        retry: true,
      });
      expect([stored, lab.leftovers(first.place)]).toEqual([[], before]);
      // The next try makes way for itself.
      expect(await transfer(first)).toMatchObject({ snapshots: 1 });
      same(first);
    },
  );

  test.each(["blocks", "manifest"] as const)(
    "one garbled read of the %s of the old copy does not reach the new one",
    async (name) => {
      const key = keysOf(first.place)[name];
      for (let good = 0; good < 4; good += 1) {
        let left = good;
        const from: ObjectStore = {
          ...lab.store,
          readAll: async (wanted, most) => {
            const bytes = await lab.store.readAll(wanted, most);
            if (wanted !== key || (left -= 1) !== -1) return bytes;
            return Buffer.from(bytes.map((byte, at) => (at === 40 ? byte ^ 1 : byte)));
          },
        };
        expect(await transfer(first, { from })).toMatchObject({ snapshots: 1 });
        same(first);
        rmSync(root, { recursive: true });
        to = await openLocalStore({ root });
      }
    },
  );

  test.each(OBJECTS)(
    "a backup to a storage that spoils the %s fails, and nothing is left of it",
    async (name: Name) => {
      const run = lab.run([tree]);
      run.store = spoiling(lab.store, keysOf(run.place)[name]);
      await expect(runBackup(run)).rejects.toMatchObject({ code: "ARTIFACT_CORRUPT", retry: true });
      expect([run.published, lab.leftovers(run.place)]).toEqual([[], []]);
    },
  );

  test("what is one place under two names is not moved: it would be gone", async () => {
    const again = await openLocalStore({ root: lab.storeRoot });
    for (const place of [again, lab.store]) {
      const before = lab.leftovers(first.place);
      await expect(transfer(first, { remove: true, to: place })).rejects.toMatchObject({
        code: "CONFLICT",
        retry: false,
      });
      expect([stored, lab.leftovers(first.place)]).toEqual([[], before]);
    }
    expect((await lab.check(first.place)).manifest.sequence).toBe(1);
    rmSync(join(lab.storeRoot, "places"), { recursive: true });
  });

  test("a damaged copy makes way only for one that is whole: together they may have everything", async () => {
    await transfer(first);
    const { artifact, index } = keysOf(first.place);
    const spoil = (path: string, at: number) => {
      const bytes = readFileSync(path);
      bytes[at] = (bytes[at] ?? 0) ^ 1;
      writeFileSync(path, bytes);
    };
    spoil(join(root, index), 40);
    const whole = readFileSync(join(lab.storeRoot, artifact));
    spoil(join(lab.storeRoot, artifact), 2_000_000);
    await expect(transfer(first)).rejects.toMatchObject({ code: "ARTIFACT_CORRUPT" });
    expect(readFileSync(join(root, artifact)).equals(whole)).toBe(true);
    writeFileSync(join(lab.storeRoot, artifact), whole);
    expect(await transfer(first)).toMatchObject({ snapshots: 1 });
    same(first);
  });

  test("a move leaves the old place with a tombstone, the new one with everything", async () => {
    expect(await codeOf(transfer(second, { needs: [first.place], remove: true }))).toBe("none");
    expect(filesBelow(join(lab.storeRoot, keysOf(second.place).dir))).toEqual(["tombstone.json"]);
    expect((await lab.check(first.place)).manifest.sequence).toBe(1);
  });
});
