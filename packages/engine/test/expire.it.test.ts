// A removed snapshot leaves a signed tombstone: a gap in the chain without one is a finding (promise 16).
import { existsSync, mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { JobPayloadOf } from "@xvault/contracts";
import { manifestSha256, parseTombstone, tombstoneBytes, verifyTombstone } from "@xvault/crypto";
import type { ObjectStore } from "@xvault/storage";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { chainFindings, createReportLog, findSnapshots, keysOf, runExpire } from "../src/index.ts";
import { because, codeOf, DISKS, type Lab, type LabBackup, noSshd, openLab } from "./lab.ts";

describe.skipIf(noSshd)(`removal of snapshots${because(noSshd)}`, () => {
  let lab: Lab;
  let tree: string;
  let chain: LabBackup[];
  beforeAll(async () => {
    lab = await openLab();
    tree = join(lab.sshd.home, "tree");
    mkdirSync(tree);
    writeFileSync(join(tree, "file"), "content");
    // What is not settled is packed by every run: nothing of an earlier one is needed by a later one.
    utimesSync(join(tree, "file"), new Date(), new Date(Date.now() + 3_600_000));
    const first = await lab.backup([tree]);
    const second = await lab.backup([tree], { base: first });
    chain = [first, second, await lab.backup([tree], { base: second })];
  });
  afterAll(() => lab?.stop());

  const payloadOf = ({ manifest, place }: LabBackup): JobPayloadOf<"expire"> => ({
    type: "expire",
    snapshot: place,
    storage: DISKS,
    sequence: manifest.sequence,
    previous: manifest.previous,
    manifest_sha256: manifestSha256(manifest),
    reason: "a test",
  });
  const expire = (backup: LabBackup, store: ObjectStore = lab.store, payload = payloadOf(backup)) =>
    runExpire({
      payload,
      store,
      signer: { workerId: lab.workerId, ...lab.signer },
      reporter: createReportLog().reporter,
      signal: new AbortController().signal,
    });
  const found = () => findSnapshots(lab.storeRoot);
  const [ofFirst, ofSecond] = [0, 1].map((nth) => () => chain[nth] as LabBackup) as [() => LabBackup, () => LabBackup];

  test("whenever it is interrupted, nothing half is visible, and the next attempt finishes it", async () => {
    const backup = ofSecond();
    const keys = keysOf(backup.place);
    // Left by an attempt whose worker was killed while it wrote the tombstone.
    writeFileSync(join(lab.storeRoot, keys.dir, ".part-of-a-dead-writer"), "half");
    for (let calls = 0; ; calls++) {
      let left = calls;
      const failing = <A extends unknown[], R>(work: (...args: A) => Promise<R>) => {
        return async (...args: A): Promise<R> => {
          if (left-- <= 0) throw new Error("the worker is killed here");
          return work(...args);
        };
      };
      const store = {
        ...lab.store,
        create: failing((key: string) => lab.store.create(key)),
        remove: failing((key: string) => lab.store.remove(key)),
      };
      const ended = await expire(backup, store).then(
        () => true,
        () => false,
      );
      const visible = (await found()).snapshots.find((one) => one.manifest.snapshot_id === backup.place.snapshot_id);
      // As long as it is there it is whole; it goes with its manifest, the tombstone being there already.
      if (visible) expect((await lab.check(backup.place)).manifest.sequence).toBe(2);
      else expect(existsSync(join(lab.storeRoot, keys.tombstone))).toBe(true);
      if (ended) break;
      expect(calls).toBeLessThan(20);
    }
    expect(readdirSync(join(lab.storeRoot, keys.dir))).toEqual(["tombstone.json"]);
    expect((await found()).unreadable).toEqual([]);
    // Again, after it is done.
    expect(await expire(backup)).toEqual({ type: "expire", freed_bytes: 0 });
  });

  test("a gap with a tombstone is no finding, one without is, and one with a tombstone of something else is", async () => {
    const { snapshots, tombstones } = await found();
    const manifests = snapshots.map(({ manifest }) => manifest);
    expect(manifests).toHaveLength(2);
    expect(tombstones).toHaveLength(1);
    expect(chainFindings(manifests, tombstones).size).toBe(0);
    expect([...chainFindings(manifests).values()]).toEqual([expect.stringContaining("is not here")]);
    const other = tombstones.map((one) => ({ ...one, manifest_sha256: "0".repeat(64) }));
    expect(chainFindings(manifests, other).size).toBe(1);
  });

  test("the tombstone is signed by the worker and says what was removed", async () => {
    const { manifest, place } = ofSecond();
    const file = join(lab.storeRoot, keysOf(place).tombstone);
    const bytes = readFileSync(file);
    const tombstone = parseTombstone(bytes);
    expect(tombstone).toMatchObject({ ...place, sequence: 2, reason: "a test", previous: manifest.previous });
    expect(tombstoneBytes(tombstone)).toEqual(bytes);
    verifyTombstone(tombstone, [lab.root.publicKey]);
    const forged = [
      { ...tombstone, reason: "another" },
      { ...tombstone, snapshot_id: ofFirst().place.snapshot_id },
      { ...tombstone, worker_id: place.source_id },
    ];
    for (const one of forged) {
      expect(await codeOf(Promise.resolve().then(() => verifyTombstone(one, [lab.root.publicKey])))).toBe(
        "SIGNATURE_INVALID",
      );
    }
    expect(await codeOf(Promise.resolve().then(() => parseTombstone(Buffer.from("{}"))))).toBe("ARCHIVE_MALFORMED");
  });

  test("what is not the snapshot that is meant is not touched", async () => {
    const first = ofFirst();
    const file = join(lab.storeRoot, keysOf(first.place).tombstone);
    writeFileSync(file, readFileSync(join(lab.storeRoot, keysOf(ofSecond().place).tombstone)));
    expect(await codeOf(expire(first))).toBe("ARTIFACT_CORRUPT");
    expect((await lab.check(first.place)).manifest.sequence).toBe(1);
  });
});
