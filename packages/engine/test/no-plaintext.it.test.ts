import { randomBytes } from "node:crypto";
import { mkdirSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openLocalStore } from "@xvault/storage";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createReportLog, findSnapshots, keysOf, runVerify, storedObjects } from "../src/index.ts";
import type { Death } from "./backup-child.ts";
import { type CanarySearch, searchFor } from "./canary.ts";
import { backupInChild, type ChildRun } from "./child.ts";
import {
  because,
  filesBelow,
  identityFile,
  type Lab,
  noSshd,
  openLab,
  shell,
  toolsMissing,
  TRANSPORTS,
} from "./lab.ts";
import { noise } from "./trees.ts";

const missing = noSshd ?? toolsMissing("age", "zstd");
const FILES = 60;
const FILE_BYTES = 300_000;

describe.skipIf(missing)(`what a worker's disk and a storage show of a customer's files${because(missing)}`, () => {
  let lab: Lab;
  let tree: string;
  // Random bytes, so that compression leaves them as they are: what is compressed and not encrypted is found too.
  const inContent = randomBytes(512);
  const inNames = Buffer.from(`canary-${randomBytes(24).toString("hex")}`);
  const inTargets = Buffer.from(`canary-${randomBytes(24).toString("hex")}`);
  const content: CanarySearch = searchFor(inContent);
  const names: CanarySearch = searchFor(inNames, inTargets);
  const all: CanarySearch = searchFor(inContent, inNames, inTargets);

  beforeAll(async () => {
    lab = await openLab();
    tree = join(lab.sshd.home, "tree");
    mkdirSync(join(tree, `${inNames.toString()}-dir`), { recursive: true });
    for (let i = 0; i < FILES; i += 1) {
      const bytes = noise(FILE_BYTES, i + 1);
      inContent.copy(bytes, 1000 * i);
      writeFileSync(join(tree, `${i}-${inNames.toString()}`), bytes);
    }
    writeFileSync(join(tree, `${inNames.toString()}-dir`, "small"), inContent);
    symlinkSync(inTargets.toString(), join(tree, "link"));
  });
  afterAll(() => lab?.stop());

  let count = 0;
  const ground = () => join(lab.dir, `ground-${(count += 1)}`);
  const backup = (death: Death | null, transport: "tar" | "sftp") =>
    backupInChild(lab, ground(), [tree], { transport, ...(death ? { death } : {}) });

  test("control: the search finds a canary, and 16 bytes of it, in a file, a name, a tar and what is only compressed", async () => {
    const dir = ground();
    mkdirSync(join(dir, "sub"), { recursive: true });
    writeFileSync(join(dir, "sub/plain"), Buffer.concat([noise(5000, 1), inContent, noise(100, 2)]));
    writeFileSync(
      join(dir, "sub/piece"),
      Buffer.concat([noise(5001, 3), inContent.subarray(77, 77 + 16), noise(10, 4)]),
    );
    writeFileSync(join(dir, "sub/too little"), Buffer.concat([noise(5001, 3), inContent.subarray(77, 77 + 15)]));
    writeFileSync(join(dir, `x${inNames.toString("latin1", 3, 30)}`), "");
    expect(
      all
        .below(dir)
        .map((path) => path.slice(dir.length + 1))
        .sort(),
    ).toEqual(["sub/piece", "sub/plain", `x${inNames.toString("latin1", 3, 30)}`].sort());
    const tar = shell('tar -c -C "$1" .', [tree]);
    expect([content.in(tar), names.in(tar)].every((at) => at >= 0)).toBe(true);
    expect(content.in(shell('tar -c -C "$1" . | zstd -q', [tree]))).toBeGreaterThanOrEqual(0);
  });

  for (const transport of TRANSPORTS) {
    test(`promises 1 and 2: after a whole backup by ${transport}, neither the worker's disk nor the storage holds a trace`, async () => {
      const ran = await backup(null, transport);
      expect(ran).toMatchObject({ report: { warnings: [] }, signal: null, said: "" });
      expect(all.below(...ran.dirs)).toEqual([]);
      expect(filesBelow(ran.storeRoot).map((path) => path.split("/").at(-1))).toEqual([
        "backup.tar.zst.enc",
        "blocks.bin",
        "index.zst.enc",
        "manifest.json",
        "meta.json",
        "plan.enc",
      ]);
      for (const dir of ran.dirs.slice(1)) expect(filesBelow(dir)).toEqual([]);

      // Control: it is there, behind the key. What lies under age alone would have shown the content, what lies under zstd the names.
      const identity = identityFile(lab);
      const keys = keysOf(ran.place);
      const open = (key: string, more = "") =>
        shell(`age -d -i "$1" "$2" ${more}`, [identity, join(ran.storeRoot, key)]);
      expect(content.in(open(keys.artifact))).toBeGreaterThanOrEqual(0);
      expect(names.in(open(keys.artifact, "| zstd -d"))).toBeGreaterThanOrEqual(0);
      expect(names.in(open(keys.index, "| zstd -d"))).toBeGreaterThanOrEqual(0);
    });
  }

  const bytes = (share: number): Death => ({ at: "bytes", bytes: Math.floor(FILES * FILE_BYTES * share) });
  const deaths: [string, Death, "tar" | "sftp"][] = [
    ["while it lists", { at: "step", step: "list" }, "sftp"],
    ["at a tenth of the bytes", bytes(0.1), "sftp"],
    ["at half of the bytes", bytes(0.5), "sftp"],
    ["at nine tenths of the bytes", bytes(0.9), "tar"],
    ["between artifact and index", { at: "commit", nth: 2 }, "sftp"],
    ["while it reads back", { at: "step", step: "verify" }, "sftp"],
    ["before the manifest is there", { at: "commit", nth: 6 }, "sftp"],
    ["before the hub is told", { at: "commit", nth: 7 }, "sftp"],
  ];
  describe("promises 1 and 19: a worker that is killed leaves no trace and no half snapshot", () => {
    test.each(deaths)("killed %s", async (_, death, transport) => {
      const ran = await backup(death, transport);
      expect(ran).toMatchObject({ report: null, signal: "SIGKILL" });
      expect(all.below(...ran.dirs)).toEqual([]);
      // Control: a part of the artifact was on its way to the disk.
      if (death.at === "bytes" && death.bytes > FILES * FILE_BYTES * 0.4) {
        const written = filesBelow(ran.storeRoot).map((path) => statSync(join(ran.storeRoot, path)).size);
        expect(Math.max(...written)).toBeGreaterThan(500_000);
      }
      await expectNoHalfSnapshot(ran, death.at === "commit" && death.nth === 7);
    });
  });

  /** Whatever is visible is whole, and the storage goes on to be used. */
  async function expectNoHalfSnapshot(ran: ChildRun, whole: boolean): Promise<void> {
    const { snapshots, unreadable } = await findSnapshots(ran.storeRoot);
    expect(unreadable).toEqual([]);
    expect(snapshots.length).toBe(whole ? 1 : 0);
    const store = await openLocalStore({ root: ran.storeRoot });
    const verify = async (place: ChildRun["place"]) => {
      const objects = storedObjects(store, place);
      return runVerify({
        checked: await lab.check(place, objects),
        artifact: await lab.open(place, { objects }),
        reporter: createReportLog().reporter,
        signal: new AbortController().signal,
      });
    };
    if (whole) expect(await verify(ran.place)).toMatchObject({ files: FILES + 1 });

    await store.sweepTemporary(-1000);
    expect(filesBelow(ran.storeRoot).filter((path) => path.includes(".part-"))).toEqual([]);
    const next = await lab.backup([join(tree, `${inNames.toString()}-dir`)], { store });
    expect(await verify(next.place)).toMatchObject({ files: 1 });
  }

  test("promise 1: a restore to a path on the source leaves nothing on the worker's disk either", async () => {
    const to = join(lab.sshd.home, "restored");
    const ran = await backupInChild(lab, ground(), [tree], { restoreTo: to });
    expect(ran).toMatchObject({ report: { warnings: [] }, signal: null, said: "" });
    expect(all.below(...ran.dirs)).toEqual([]);
    // Control: it was restored.
    expect(all.below(to).length).toBeGreaterThan(FILES);
  });
});
