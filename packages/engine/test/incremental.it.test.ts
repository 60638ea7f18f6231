// Incremental for ever: a run packs what changed, and every snapshot is the whole tree by itself.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  appendFileSync,
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { because, type Lab, type LabBackup, noSshd, openLab, TRANSPORTS, type Transport } from "./lab.ts";
import { dice, differences, noise, plantSparse, type Tolerance, wholeSeconds } from "./trees.ts";

const LOST = {
  tar: { withinNs: 1000n },
  sftp: { withinNs: 1000n, time: wholeSeconds, linksAsFiles: true, holesAsZeros: true },
} as const satisfies Record<Transport, Tolerance>;

describe.skipIf(noSshd)(`incremental runs${because(noSshd)}`, () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await openLab();
  });
  afterAll(() => lab?.stop());

  /** Gives what changed just now times of an hour ago, as files have that a run can trust. */
  const settle = (tree: string) =>
    execFileSync("find", [tree, "-newermt", "10 minutes ago", "-exec", "touch", "-h", "-d", "1 hour ago", "{}", "+"]);
  const back = async (tree: string, transport: Transport, base?: LabBackup) => {
    settle(tree);
    // Over a shell the time of the last change of the file itself counts too, which nobody can set.
    if (transport === "tar") await new Promise((resolve) => setTimeout(resolve, 2100));
    return lab.backup([tree], { transport, ...(base ? { base } : {}) });
  };
  let restored = 0;
  const same = async (backup: LabBackup, tree: string, transport: Transport) => {
    const to = join(lab.dir, `restored-${restored++}`);
    await lab.restore(backup.place, to);
    expect(differences(to + tree, tree, LOST[transport])).toEqual([]);
  };
  const plant = (name: string) => {
    const tree = join(lab.sshd.home, name);
    mkdirSync(join(tree, "sub/deep"), { recursive: true });
    for (let i = 0; i < 40; i++) writeFileSync(join(tree, `sub/${i}`), noise(3000 + i, i));
    writeFileSync(join(tree, "large"), noise(300_000, 99));
    writeFileSync(join(tree, "empty"), "");
    plantSparse(join(tree, "sparse"), 900_000, [
      [4096, 1000],
      [500_000, 24],
    ]);
    writeFileSync(join(tree, "sub/one name"), "linked");
    linkSync(join(tree, "sub/one name"), join(tree, "sub/deep/another"));
    return tree;
  };

  describe.each(TRANSPORTS)("by %s", (transport) => {
    test("an unchanged tree is not pulled again; what changed is; every generation restores as it was", async () => {
      const tree = plant(`tree-${transport}`);
      const first = await back(tree, transport);
      expect(first.result).toMatchObject({ unchanged_files: 0, files: first.manifest.contents.files });
      expect(first.manifest.references).toEqual([]);
      await same(first, tree, transport);

      const second = await back(tree, transport, first);
      const linked = transport === "tar" ? 1 : 0;
      // Of hard links, tar tells one as the file and the other as a link; both are packed anew.
      expect(second.result.unchanged_files).toBe(first.manifest.contents.files - linked);
      expect(second.manifest.artifact.tar_bytes).toBeLessThan(20_000);
      expect(second.manifest.references).toMatchObject([{ snapshot_id: first.place.snapshot_id }]);
      await same(second, tree, transport);

      writeFileSync(join(tree, "sub/3"), noise(3103, 1003));
      appendFileSync(join(tree, "large"), "more");
      renameSync(join(tree, "sub/4"), join(tree, "sub/renamed"));
      rmSync(join(tree, "sub/5"));
      rmSync(join(tree, "sub/6"));
      mkdirSync(join(tree, "sub/6"));
      writeFileSync(join(tree, "sub/6/now a directory"), "x");
      chmodSync(join(tree, "sub/7"), 0o600);
      const third = await back(tree, transport, second);
      expect(third.result.unchanged_files).toBeLessThan(second.result.unchanged_files ?? 0);
      expect(third.result.unchanged_files).toBeGreaterThan(30);
      await same(third, tree, transport);
      // What changed shows in its own generation alone.
      const old = join(lab.dir, `old-${transport}`);
      await lab.restore(second.place, old, { paths: [`${tree}/sub/5`] });
      expect(existsSync(`${old}${tree}/sub/5`)).toBe(true);

      // References never pass through a snapshot that holds nothing of its own.
      const fourth = await back(tree, transport, third);
      const ids = fourth.manifest.references.map((one) => one.snapshot_id).toSorted();
      expect(ids).toEqual([first.place.snapshot_id, third.place.snapshot_id].toSorted());
      await same(fourth, tree, transport);
    });
  });

  test("a content that changed under the same size and time is pulled, where the source tells when the file itself changed", async () => {
    const tree = plant("sly");
    const first = await back(tree, "tar");
    writeFileSync(join(tree, "sub/1"), noise(3001, 4711));
    utimesSync(join(tree, "sub/1"), new Date(0), new Date(0));
    const second = await back(tree, "tar", first);
    writeFileSync(join(tree, "sub/1"), noise(3001, 4712));
    utimesSync(join(tree, "sub/1"), new Date(0), new Date(0));
    const third = await back(tree, "tar", second);
    expect(third.result.unchanged_files).toBe(second.result.unchanged_files);
    await same(third, tree, "tar");
  });

  test("what changed as the run began is not trusted by the next one", async () => {
    const tree = plant("fresh");
    settle(tree);
    writeFileSync(join(tree, "just now"), "1");
    const first = await lab.backup([tree], { transport: "sftp" });
    const second = await lab.backup([tree], { transport: "sftp", base: first });
    expect(second.result.unchanged_files).toBe(first.manifest.contents.files - 1);
  });

  test("what canaries hold is told, whether they were pulled or not, and what became of them", async () => {
    const tree = plant("guarded");
    writeFileSync(join(tree, "canary"), "sings");
    writeFileSync(join(tree, "other"), "sings too");
    settle(tree);
    const canaries = [join(tree, "canary"), join(tree, "other")];
    const sings = createHash("sha256").update("sings").digest("hex");
    const first = await lab.backup([tree], { canaries });
    const second = await lab.backup([tree], { base: first, canaries });
    expect(second.result.canaries).toEqual(first.result.canaries);
    expect(second.result.canaries).toMatchObject({ [join(tree, "canary")]: sings });
    writeFileSync(join(tree, "canary"), "silent");
    rmSync(join(tree, "other"));
    const third = await lab.backup([tree], { base: second, canaries });
    const silent = createHash("sha256").update("silent").digest("hex");
    expect(third.result.canaries).toEqual({ [join(tree, "canary")]: silent, [join(tree, "other")]: null });
    expect((await lab.backup([tree])).result.canaries).toBeUndefined();
  });

  test("an artifact that is mostly dead is renewed: its last files move, and nothing points to it any more", async () => {
    const tree = plant("dying");
    rmSync(join(tree, "sparse"));
    let backup = await back(tree, "sftp");
    const first = backup.place.snapshot_id;
    for (const round of [1, 2, 3]) {
      for (let i = round === 3 ? 30 : 0; i < 40; i++) {
        if (i % 3 === round - 1) writeFileSync(join(tree, `sub/${i}`), noise(3500 + i, 100 * round + i));
      }
      writeFileSync(join(tree, "large"), noise(200_000 + round, round));
      backup = await back(tree, "sftp", backup);
      await same(backup, tree, "sftp");
    }
    expect(backup.manifest.references.map((one) => one.snapshot_id)).not.toContain(first);
  });

  test("without a usable state the run is a full one, says why, and is whole", async () => {
    const tree = plant("stateless");
    const first = await back(tree, "sftp");
    const state = join(
      lab.storeRoot,
      "backups",
      first.place.tenant_id,
      first.place.source_id,
      first.place.snapshot_id,
      "plan.enc",
    );
    expect(existsSync(state)).toBe(true);

    writeFileSync(state, noise(5000, 1));
    const second = await back(tree, "sftp", first);
    expect(second.result.unchanged_files).toBe(0);
    expect(second.partial).toBe(false);
    expect(
      second.log
        .takeEvents()
        .map((event) => event.message)
        .join("\n"),
    ).toMatch(/Everything is pulled/);
    // The state of the snapshot before is of no use any more.
    expect(existsSync(state)).toBe(false);

    const other = await lab.backup([tree], {
      transport: "sftp",
      base: second,
      recipients: [lab.keys.recipient, await newRecipient()],
    });
    expect(other.result.unchanged_files).toBe(0);
    expect(
      other.log
        .takeEvents()
        .map((event) => event.message)
        .join("\n"),
    ).toMatch(/recipients have changed/);
  });

  test("files of an artifact that is gone are pulled anew", async () => {
    const tree = plant("gone");
    const first = await back(tree, "sftp");
    writeFileSync(join(tree, "sub/1"), "another");
    const second = await back(tree, "sftp", first);
    const lost = join(lab.storeRoot, "backups", first.place.tenant_id, first.place.source_id, first.place.snapshot_id);
    rmSync(lost, { recursive: true });
    const third = await back(tree, "sftp", second);
    expect(third.manifest.references.map((one) => one.snapshot_id)).toEqual([second.place.snapshot_id]);
    expect(third.result.unchanged_files).toBe(1);
    await same(third, tree, "sftp");
  });

  test("the state names no file", async () => {
    const tree = plant("nameless");
    const { place } = await back(tree, "tar");
    const found = execFileSync("sh", [
      "-c",
      'grep -rlaE "renamed|sub/1|nameless" "$1" || true',
      "sh",
      join(lab.storeRoot, "backups", place.tenant_id, place.source_id, place.snapshot_id),
    ]);
    expect(found.toString()).toBe("");
  });

  test("twenty random generations, each as its tree was", async () => {
    const tree = plant("random");
    const roll = dice(7);
    let backup = await back(tree, "sftp");
    for (let round = 0; round < 20; round++) {
      for (let n = 0; n < 5; n++) {
        const name = join(tree, `sub/${Math.floor(roll() * 60)}`);
        const kind = roll();
        rmSync(name, { recursive: true, force: true });
        if (kind < 0.6) writeFileSync(name, noise(Math.floor(roll() * 5000), round * 100 + n));
        else if (kind < 0.8) mkdirSync(name);
      }
      backup = await back(tree, "sftp", backup);
      await same(backup, tree, "sftp");
    }
    expect(backup.manifest.references.length).toBeGreaterThan(3);
  });
});

async function newRecipient(): Promise<string> {
  const { generateIdentity } = await import("@xvault/crypto");
  return (await generateIdentity()).recipient;
}
