// A restore to nowhere, and the signed statement of what came of it.
import { cpSync, mkdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { manifestSha256, verifyProof } from "@xvault/crypto";
import { manualClock, XVaultError } from "@xvault/kernel";
import { type ObjectStore, openLocalStore } from "@xvault/storage";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  countReads,
  createReportLog,
  type DrillRun,
  keysOf,
  runDrill,
  storedObjects,
  unsealWithIdentities,
} from "../src/index.ts";
import { because, codeOf, type Lab, type LabBackup, noSshd, openLab } from "./lab.ts";
import { noise } from "./trees.ts";

const FILES = 40;

describe.skipIf(noSshd)(`restore drills${because(noSshd)}`, () => {
  let lab: Lab;
  let first: LabBackup;
  let second: LabBackup;
  beforeAll(async () => {
    lab = await openLab();
    const tree = join(lab.sshd.home, "tree");
    mkdirSync(tree);
    for (let i = 0; i < FILES; i += 1) {
      writeFileSync(join(tree, String(i)), noise(20_000 + i, i));
      utimesSync(join(tree, String(i)), 1_700_000_000, 1_700_000_000);
    }
    first = await lab.backup([tree]);
    writeFileSync(join(tree, "new"), noise(300_000, 99));
    second = await lab.backup([tree], { base: first });
  });
  afterAll(() => lab?.stop());

  function drill(change: Partial<DrillRun> & { store?: ObjectStore; identities?: string[] } = {}) {
    const { store = lab.store, identities = [lab.keys.identity], ...changes } = change;
    const { place, manifest } = second;
    return runDrill({
      subject: {
        ...place,
        job_id: null,
        manifest_sha256: manifestSha256(manifest),
        sequence: manifest.sequence,
        created_at: manifest.created_at,
        storage: { id: null, kind: "local_fs" },
        keys: manifest.encryption.recipients.map(({ fingerprint }) => fingerprint),
      },
      open: async () => {
        const { objects, count } = countReads(storedObjects(store, place));
        const checked = await lab.check(place, objects);
        return { checked: { ...checked, read: count }, artifact: await unsealWithIdentities(checked, identities) };
      },
      mode: "sample",
      files: 5,
      signer: { kind: "worker", certificate: lab.signer.certificate },
      privateKey: lab.signer.privateKey,
      version: "1.2.3",
      reporter: createReportLog().reporter,
      signal: new AbortController().signal,
      ...changes,
    });
  }
  async function damaged(from: LabBackup, at: number): Promise<ObjectStore> {
    const root = join(lab.dir, "damaged");
    rmSync(root, { recursive: true, force: true });
    cpSync(lab.storeRoot, root, { recursive: true });
    const file = join(root, keysOf(from.place).artifact);
    const bytes = readFileSync(file);
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    writeFileSync(file, bytes);
    return openLocalStore({ root });
  }
  const rootKeys = () => [lab.root.publicKey];

  test("all files, those of earlier artifacts too: the statement says how much, and is signed by the worker", async () => {
    const { proof, failure } = await drill({ mode: "all" });
    verifyProof(proof, { rootKeys: rootKeys() });
    expect(failure).toBe(null);
    expect(proof).toMatchObject({
      kind: "xvault-restore-proof",
      ...second.place,
      sequence: 2,
      outcome: "passed",
      failure: null,
      manifest_sha256: manifestSha256(second.manifest),
      versions: { xvault: "1.2.3", node: process.versions.node, format: 1 },
    });
    const { files, plain_bytes: bytes } = second.manifest.contents;
    expect(files).toBe(FILES + 1);
    expect(proof.restored).toMatchObject({ mode: "all", files, of_files: files, bytes });
    expect(proof.restored.read_bytes).toBeGreaterThan(bytes);
  });

  test("a sample: some files by chance, and the largest and the newest", async () => {
    const { proof } = await drill({ random: (below) => below - 1 });
    verifyProof(proof, { rootKeys: rootKeys() });
    expect(proof.restored.of_files).toBe(FILES + 1);
    // The file that is new is both.
    expect(proof.restored.files).toBe(6);
    expect(proof.restored.bytes).toBeGreaterThan(300_000);
    expect(proof.restored.bytes).toBeLessThan(300_000 + 6 * 21_000);
  });

  test("the time that it took is told, by the clock that it is given", async () => {
    const clock = manualClock(new Date("2026-03-01T00:00:00Z"));
    const { proof } = await drill({
      clock,
      open: async () => {
        const { objects, count } = countReads(storedObjects(lab.store, second.place));
        const checked = await lab.check(second.place, objects);
        clock.advance(90_500);
        return {
          checked: { ...checked, read: count },
          artifact: await unsealWithIdentities(checked, [lab.keys.identity]),
        };
      },
    });
    expect(proof).toMatchObject({
      started_at: "2026-03-01T00:00:00.000Z",
      finished_at: "2026-03-01T00:01:30.500Z",
      seconds: 90.5,
    });
  });

  test("what cannot be restored is stated as such, with its cause", async () => {
    for (const from of [first, second]) {
      const { proof, failure } = await drill({ store: await damaged(from, 250), mode: "all" });
      verifyProof(proof, { rootKeys: rootKeys() });
      expect(failure?.code).toBe("ARTIFACT_CORRUPT");
      expect(proof).toMatchObject({ outcome: "failed", failure: { code: "ARTIFACT_CORRUPT" } });
      expect(proof.restored.files).toBeLessThan(FILES + 1);
    }
    const subject = { ...(await drill()).proof, manifest_sha256: "0".repeat(64) };
    const { tenant_id, source_id, snapshot_id, job_id, manifest_sha256, sequence, created_at, storage, keys } = subject;
    const ids = { tenant_id, source_id, snapshot_id, job_id, manifest_sha256, sequence, created_at, storage, keys };
    expect((await drill({ subject: ids })).proof.failure?.code).toBe("SIGNATURE_INVALID");
  });

  test("what says nothing about the snapshot is no outcome: a storage that is away, a drill that is called off", async () => {
    const away = () => Promise.reject(new XVaultError("STORAGE_FAILED"));
    expect(await codeOf(drill({ open: away }))).toBe("STORAGE_FAILED");
    const aborter = new AbortController();
    aborter.abort(new XVaultError("CANCELLED"));
    expect(await codeOf(drill({ signal: aborter.signal, mode: "all" }))).toBe("CANCELLED");
  });
});
