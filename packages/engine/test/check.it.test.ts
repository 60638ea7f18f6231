// Rot is found without a key, as deeply as is asked (promises 14 and 17), and a read that fails once is not called rot (18).
import { cpSync, mkdirSync, readFileSync, renameSync, rmSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { sampleConfidence, XVaultError } from "@xvault/kernel";
import { type ObjectStore, openLocalStore } from "@xvault/storage";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type CheckRun, createReportLog, keysOf, runCheck, type SnapshotPlace } from "../src/index.ts";
import { because, codeOf, type Lab, type LabBackup, noSshd, openLab } from "./lab.ts";
import { dice, noise } from "./trees.ts";

const MIB = 1024 * 1024;
const BLOCKS = 8;

describe.skipIf(noSshd)(`checks without a key${because(noSshd)}`, () => {
  let lab: Lab;
  let first: LabBackup;
  /** Refers to the first one. */
  let second: LabBackup;
  let copy: string;
  beforeAll(async () => {
    lab = await openLab();
    const tree = join(lab.sshd.home, "tree");
    mkdirSync(tree);
    writeFileSync(join(tree, "large"), noise(BLOCKS * MIB - 200_000, 1));
    utimesSync(join(tree, "large"), 1_700_000_000, 1_700_000_000);
    first = await lab.backup([tree]);
    writeFileSync(join(tree, "new"), noise(100_000, 2));
    second = await lab.backup([tree], { base: first });
    copy = join(lab.dir, "copy");
  });
  afterAll(() => lab?.stop());

  type Part = "artifact" | "index" | "blocks" | "manifest" | "meta";
  const path = (place: SnapshotPlace, part: Part) => join(copy, keysOf(place)[part]);
  async function freshCopy(): Promise<ObjectStore> {
    rmSync(copy, { recursive: true, force: true });
    cpSync(lab.storeRoot, copy, { recursive: true });
    return openLocalStore({ root: copy });
  }
  function flip(place: SnapshotPlace, part: Part, at: (size: number) => number): void {
    const bytes = readFileSync(path(place, part));
    const offset = at(bytes.length);
    bytes[offset] = (bytes[offset] ?? 0) ^ 0x10;
    writeFileSync(path(place, part), bytes);
  }
  function rewrite(manifest: string): void {
    writeFileSync(manifest, readFileSync(manifest, "utf8").replace('"partial":false', '"partial":true'));
  }
  const check = (store: ObjectStore, depth: CheckRun["depth"], change: Partial<CheckRun> = {}) =>
    runCheck({
      store,
      place: second.place,
      rootKeys: [lab.root.publicKey],
      depth,
      share: 1,
      lostBelow: 0.001,
      earlier: true,
      reporter: createReportLog().reporter,
      signal: new AbortController().signal,
      ...change,
    });
  const sizes = () => first.manifest.artifact.size_bytes + second.manifest.artifact.size_bytes;

  test("control: what is untouched passes in every depth, which says what was read", async () => {
    const store = await freshCopy();
    const [one, two] = [first.manifest, second.manifest];
    expect(first.manifest.blocks.count).toBe(BLOCKS);
    expect(second.manifest.references.map(({ snapshot_id }) => snapshot_id)).toEqual([first.place.snapshot_id]);
    const leaves = 32 * (one.blocks.count + two.blocks.count);
    expect(await check(store, "presence")).toEqual({
      depth: "presence",
      bytes: sizes() + leaves + two.index.size_bytes,
    });
    expect(await check(store, "whole")).toEqual({ depth: "whole", bytes: sizes() });
    expect(await check(store, "whole", { earlier: false })).toEqual({ depth: "whole", bytes: two.artifact.size_bytes });
    expect(await check(store, "sample")).toEqual({ depth: "sample", bytes: sizes(), confidence: 1, lost_below: 0 });
    const sample = await check(store, "sample", { place: first.place, share: 0.5, lostBelow: 0.25 });
    expect(sample).toMatchObject({ confidence: sampleConfidence(BLOCKS, BLOCKS / 2, 0.25), lost_below: 0.25 });
    expect(sample.bytes).toBeLessThanOrEqual((BLOCKS / 2) * MIB);
    expect(sample.bytes).toBeGreaterThan((BLOCKS / 2 - 1) * MIB);
  });

  test("what is gone or has another length is found by the shallowest check, in the earlier snapshot too", async () => {
    const cases: [string, (place: SnapshotPlace) => void, string][] = [];
    for (const part of ["artifact", "index", "blocks", "meta", "manifest"] as const) {
      cases.push([`${part} gone`, (place) => rmSync(path(place, part)), "ARTIFACT_MISSING"]);
    }
    cases.push(
      ["artifact cut", (place) => truncateSync(path(place, "artifact"), 1000), "ARCHIVE_TRUNCATED"],
      ["index longer", (place) => writeFileSync(path(place, "index"), "x", { flag: "a" }), "TRAILING_DATA"],
      ["blocks longer", (place) => writeFileSync(path(place, "blocks"), "x", { flag: "a" }), "TRAILING_DATA"],
      ["meta of another", (place) => renameSync(path(first.place, "meta"), path(place, "meta")), "ARTIFACT_CORRUPT"],
      ["manifest changed", (place) => rewrite(path(place, "manifest")), "SIGNATURE_INVALID"],
    );
    for (const [what, damage, code] of cases) {
      const store = await freshCopy();
      damage(second.place);
      for (const depth of ["presence", "sample", "whole"] as const) {
        expect(await codeOf(check(store, depth)), `${what}, ${depth}`).toBe(code);
      }
    }
    for (const part of ["artifact", "blocks", "manifest"] as const) {
      const store = await freshCopy();
      rmSync(path(first.place, part));
      // Whether its blocks are read or not.
      await expect(check(store, "presence", { earlier: false }), part).rejects.toMatchObject({
        code: "ARTIFACT_MISSING",
        data: { snapshot_id: first.place.snapshot_id },
      });
    }
  });

  test("a flipped bit anywhere is found by reading all, and its snapshot is named", async () => {
    for (const place of [first.place, second.place]) {
      for (const at of [0, 0.3, 0.7, 0.9999]) {
        const store = await freshCopy();
        flip(place, "artifact", (size) => Math.floor(size * at));
        expect(await codeOf(check(store, "presence"))).toBe("none");
        const whole = check(store, "whole");
        if (place === first.place)
          await expect(whole).rejects.toMatchObject({ data: { snapshot_id: place.snapshot_id } });
        expect(await codeOf(whole)).toBe("ARTIFACT_CORRUPT");
      }
    }
    for (const part of ["index", "blocks"] as const) {
      const store = await freshCopy();
      flip(second.place, part, (size) => Math.floor(size / 2));
      expect(await codeOf(check(store, "presence"))).toBe("none");
      expect(await codeOf(check(store, "sample", { share: 0 }))).toBe("ARTIFACT_CORRUPT");
    }
  });

  test("a sample finds lost blocks as often as its confidence says", async () => {
    const store = await freshCopy();
    for (const block of [2, 5]) flip(first.place, "artifact", () => block * MIB + 7);
    const roll = dice(42);
    const random = (below: number) => Math.floor(roll() * below);
    const turns = 60;
    let found = 0;
    for (let turn = 0; turn < turns; turn += 1) {
      const code = await codeOf(check(store, "sample", { place: first.place, share: 0.5, lostBelow: 0.25, random }));
      if (code === "ARTIFACT_CORRUPT") found += 1;
      else expect(code).toBe("none");
    }
    // Two of eight blocks: the claim is about just as many.
    expect(Math.abs(found / turns - sampleConfidence(BLOCKS, BLOCKS / 2, 0.25))).toBeLessThan(0.15);
  });

  test("reads, sizes and looks that go wrong once are made again; a storage that fails is not called rot", async () => {
    const store = await freshCopy();
    const garbleOnce = (left = 1) => {
      const garble = (bytes: Buffer) => {
        if (left === 0) return bytes;
        left -= 1;
        const changed = Buffer.from(bytes);
        changed[0] = (changed[0] ?? 0) ^ 1;
        return changed;
      };
      return { garble, left: () => left };
    };
    const wanted = { artifact: keysOf(second.place).artifact, earlier: keysOf(first.place).artifact };
    for (const key of [wanted.artifact, wanted.earlier, keysOf(second.place).index, keysOf(second.place).blocks]) {
      for (const depth of ["sample", "whole"] as const) {
        const fault = garbleOnce();
        const faulty: ObjectStore = {
          ...store,
          readAll: async (name, limit) => {
            const bytes = await store.readAll(name, limit);
            return name === key ? fault.garble(bytes) : bytes;
          },
          reader: async (name) => {
            const reader = await store.reader(name);
            const read = async (at: number, length: number) => fault.garble(await reader.read(at, length));
            return name === key ? { size: reader.size, read } : reader;
          },
        };
        expect(await codeOf(check(faulty, depth)), key).toBe("none");
        expect(fault.left(), `${key} was read`).toBe(0);
      }
    }
    for (const answer of [null, { sizeBytes: 1 }]) {
      let told = 0;
      const stat: ObjectStore["stat"] = async (name) =>
        name === wanted.artifact && told++ === 0 ? answer : store.stat(name);
      expect(await codeOf(check({ ...store, stat }, "presence"))).toBe("none");
      expect(told).toBe(2);
    }
    const away: ObjectStore = { ...store, stat: () => Promise.reject(new XVaultError("STORAGE_FAILED")) };
    await expect(check(away, "presence")).rejects.toMatchObject({ code: "STORAGE_FAILED", retry: true });
  });

  test("a check that is called off ends as such", async () => {
    const store = await freshCopy();
    const aborter = new AbortController();
    aborter.abort(new XVaultError("CANCELLED"));
    for (const depth of ["sample", "whole"] as const) {
      expect(await codeOf(check(store, depth, { signal: aborter.signal }))).toBe("CANCELLED");
    }
  });
});
