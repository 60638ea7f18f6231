import { appendFileSync, cpSync, lstatSync, mkdirSync, readFileSync, readlinkSync, renameSync, rmSync } from "node:fs";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createLocalTarget, writeTarTo } from "@xvault/archive";
import { generateSigningKey, manifestBytes, signManifest } from "@xvault/crypto";
import type { ByteSink, FileEntry, TreeTarget } from "@xvault/kernel";
import { connectSource, type SourceConnection } from "@xvault/source";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  chainFindings,
  checkSnapshot,
  createReportLog,
  findSnapshots,
  keysOf,
  runVerify,
  type SnapshotPlace,
  unsealWithIdentities,
} from "../src/index.ts";
import { entryOf, type Packed, packSnapshot, referenceTo } from "./chain.ts";
import {
  because,
  codeOf,
  filesBelow,
  identityFile,
  type Lab,
  newSigner,
  noSshd,
  openLab,
  restoreTo,
  shell,
  toolsMissing,
} from "./lab.ts";
import { noise } from "./trees.ts";

const NOT_UTF8 = Buffer.concat([Buffer.from("top/deep/latin-"), Buffer.from([0xe9])]);
/** In whole blocks, as GNU tar counts them. */
const SPARSE = [
  { offset: 4096, length: 512 },
  { offset: 901_120, length: 1024 },
];
const RUNS = noise(1536, 5);
const DIR_TIME = 1_500_000_000_000_000_000n;
const dir = (path: string, mode = 0o755): FileEntry => entryOf(path, { type: "dir", mode, mtimeNs: DIR_TIME });
const file = (path: Buffer | string, body: Buffer): [FileEntry, Buffer] => [entryOf(path, { size: body.length }), body];
const BIG = noise(5_000_000, 7);
const dense = () => {
  const bytes = Buffer.alloc(1_000_000);
  RUNS.copy(bytes, 4096, 0, 512);
  RUNS.copy(bytes, 901_120, 512);
  return bytes;
};
/** What the last snapshot of the chain holds: path in latin1 → content. */
const WHOLE = new Map<string, Buffer>([
  ["top/unchanged", Buffer.from("from the first")],
  ["top/big", BIG],
  ["top/empty", Buffer.alloc(0)],
  ["top/holes", dense()],
  ["top/deep/second", Buffer.from("from the second")],
  [NOT_UTF8.toString("latin1"), Buffer.from("odd name")],
  ["top/deep/new", Buffer.from("from the third")],
  ["top/locked/inside", Buffer.from("below a directory that nobody may write")],
  ["top/linked", Buffer.from("has two names")],
]);

const missing = noSshd ?? toolsMissing("age", "zstd", "tar");

describe.skipIf(missing)(`snapshots that need earlier artifacts${because(missing)}`, () => {
  let lab: Lab;
  let connection: SourceConnection;
  let first: Packed;
  let second: Packed;
  let third: Packed;
  let count = 0;
  const fresh = () => join(lab.dir, `out-${(count += 1)}`);

  beforeAll(async () => {
    lab = await openLab();
    connection = await connectSource(lab.connectOptions());
    first = await packSnapshot(lab, async ({ add }) => {
      await add(dir("top"));
      await add(...file("top/unchanged", Buffer.from("from the first")));
      await add(...file("top/big", BIG));
      await add(...file("top/empty", Buffer.alloc(0)));
      await add(entryOf("top/holes", { size: 1_000_000, sparse: SPARSE }), RUNS);
      await add(...file("top/gone", Buffer.from("deleted later")));
      await add(dir("top/deep"));
      await add(...file("top/deep/second", Buffer.from("an older one")));
      await add(...file(NOT_UTF8, Buffer.from("odd name")));
      await add(dir("top/locked", 0o555));
      await add(...file("top/locked/inside", Buffer.from("below a directory that nobody may write")));
    });
    second = await packSnapshot(
      lab,
      async ({ add, refer }) => {
        await add(dir("top"));
        await add(dir("top/deep"));
        await add(...file("top/deep/second", Buffer.from("from the second")));
        await add(dir("top/locked", 0o555));
        for (const path of ["top/unchanged", "top/big", "top/empty", "top/holes", "top/locked/inside"])
          await refer(first, path);
        await refer(first, NOT_UTF8);
      },
      { from: [first] },
    );
    third = await packSnapshot(
      lab,
      async ({ add, refer }) => {
        // Before any directory, and long after it: the order is free.
        await refer(second, "top/locked/inside");
        await refer(second, NOT_UTF8);
        await refer(second, "top/unchanged", { mode: 0o600 });
        await add(dir("top", 0o750));
        await add(dir("top/deep", 0o711));
        await add(...file("top/deep/new", Buffer.from("from the third")));
        await add(dir("top/locked", 0o555));
        await add(dir("top/hollow", 0o700));
        await refer(second, "top/big");
        await refer(second, "top/deep/second");
        await add(...file("top/linked", Buffer.from("has two names")));
        await add(entryOf("top/deep/twin", { type: "hardlink", linkTarget: Buffer.from("top/linked") }));
        await add(entryOf("top/link", { type: "symlink", linkTarget: Buffer.from("deep/new") }));
        await refer(second, "top/holes");
        await refer(second, "top/empty");
      },
      { from: [first, second] },
    );
  });
  afterAll(async () => {
    connection?.close();
    await lab?.stop();
  });

  function expectWhole(root: string): void {
    expect(filesBelow(root).length).toBe(WHOLE.size + 2);
    for (const [path, content] of WHOLE) {
      const at = Buffer.concat([Buffer.from(`${root}/`), Buffer.from(path, "latin1")]);
      expect(readFileSync(at).equals(content), path).toBe(true);
      const seen = lstatSync(at, { bigint: true });
      expect(seen.mtimeNs).toBe(1_700_000_000_000_000_000n);
      expect(Number(seen.mode) & 0o7777).toBe(path === "top/unchanged" ? 0o600 : 0o640);
    }
    expect(readlinkSync(join(root, "top/link"))).toBe("deep/new");
    expect(lstatSync(join(root, "top/deep/twin")).ino).toBe(lstatSync(join(root, "top/linked")).ino);
    const modes = { top: 0o750, "top/deep": 0o711, "top/locked": 0o555, "top/hollow": 0o700 };
    for (const [path, mode] of Object.entries(modes)) {
      const seen = lstatSync(join(root, path), { bigint: true });
      expect([path, Number(seen.mode) & 0o7777, seen.mtimeNs]).toEqual([path, mode, DIR_TIME]);
    }
  }

  const targets: Record<string, (to: string) => Promise<TreeTarget>> = {
    "a local directory": (to) => createLocalTarget(to),
    "a path on the source": (to) => connection.target(to),
  };
  for (const [name, open] of Object.entries(targets)) {
    test(`restore byte-exact to ${name}, directories right whatever stands first in the index`, async () => {
      const to = fresh();
      const result = await restoreTo(await lab.open(third.place), await open(to));
      expect(result).toMatchObject({ written: WHOLE.size + 6, skipped: 0, problems: 0 });
      expectWhole(to);
      expect(lstatSync(join(to, "top/holes")).blocks * 512).toBeLessThan(200_000);
    });
  }

  test("restore in part: only the artifacts that are needed are opened", async () => {
    const opened: string[] = [];
    const spied = async (place: SnapshotPlace) => {
      const checked = await lab.check(place);
      const earlier = (id: string) => {
        opened.push(id);
        return checked.earlier(id);
      };
      return unsealWithIdentities({ ...checked, earlier }, [lab.keys.identity]);
    };
    const to = fresh();
    await restoreTo(await spied(third.place), await createLocalTarget(to), ["/top/deep/new"]);
    expect(opened).toEqual([]);
    await restoreTo(await spied(third.place), await createLocalTarget(to), ["/top/deep/second"]);
    expect(opened).toEqual([second.place.snapshot_id]);
    expect(readFileSync(join(to, "top/deep/second"), "utf8")).toBe("from the second");
  });

  test("are downloaded as a tar that stock tar unpacks with the right times", async () => {
    const chunks: Buffer[] = [];
    const sink: ByteSink = { write: (chunk) => void chunks.push(Buffer.from(chunk)), close: async () => {} };
    await restoreTo(await lab.open(third.place), writeTarTo(sink, { directoriesLast: true }));
    const to = fresh();
    mkdirSync(to);
    shell('tar -xpf - -C "$1"', [to], Buffer.concat(chunks));
    expectWhole(to);
  });

  test("each artifact of the chain opens by itself with stock age, zstd and tar", () => {
    const names = ([place]: SnapshotPlace[]) =>
      shell('age -d -i "$1" "$2" | zstd -d | tar -tf - --quoting-style=literal', [
        identityFile(lab),
        join(lab.storeRoot, keysOf(place as SnapshotPlace).artifact),
      ])
        .toString("latin1")
        .trim()
        .split("\n");
    expect(names([first.place])).toHaveLength(11);
    expect(names([second.place])).toEqual(["top/", "top/deep/", "top/deep/second", "top/locked/"]);
    expect(names([third.place])).toContain("top/deep/new");
    expect(names([third.place])).not.toContain("top/big");
  });

  test("are verified through: every file with a key, every stored byte of all three without", async () => {
    const { reporter } = createReportLog();
    const { signal } = new AbortController();
    const checked = await lab.check(third.place);
    const deep = await runVerify({ checked, artifact: await lab.open(third.place), reporter, signal });
    expect(deep).toMatchObject({ depth: "content", files: WHOLE.size });
    const stored = await runVerify({ checked, artifact: null, reporter, signal });
    const sizes = [first, second, third].map((one) => one.manifest.artifact.size_bytes);
    expect(stored.bytes).toBe(sizes.reduce((sum, size) => sum + size, 0));
  });

  test("are recovered offline, also when the earlier ones were copied to another place", async () => {
    const base = fresh();
    cpSync(lab.storeRoot, base, { recursive: true });
    const at = (place: SnapshotPlace) => join(base, keysOf(place).dir);
    mkdirSync(join(base, "elsewhere"));
    renameSync(at(first.place), join(base, "elsewhere", "copy"));
    const { snapshots } = await findSnapshots(base);
    const found = snapshots.find(({ manifest }) => manifest.snapshot_id === third.place.snapshot_id);
    if (!found) throw new Error("the newest was not found");
    const open = async () =>
      unsealWithIdentities(
        await checkSnapshot(found.objects, { rootKeys: [lab.root.publicKey], expect: found.expect }),
        [lab.keys.identity],
      );
    const to = fresh();
    await restoreTo(await open(), await createLocalTarget(to));
    expectWhole(to);
    expect(chainFindings(snapshots.map(({ manifest }) => manifest)).size).toBe(0);

    // Alone, it says whose artifact is missing, and makes no directory for it.
    const lone = await findSnapshots(at(third.place));
    expect([...chainFindings(lone.snapshots.map(({ manifest }) => manifest)).values()]).toEqual([
      `it needs the artifact of ${first.place.snapshot_id.slice(-8)}, which is not here`,
    ]);
    const [only] = lone.snapshots;
    rmSync(at(second.place), { recursive: true });
    await expect(
      checkSnapshot(only?.objects ?? found.objects, { rootKeys: [lab.root.publicKey] }).then((checked) =>
        checked.earlier(second.place.snapshot_id),
      ),
    ).rejects.toMatchObject({ code: "ARTIFACT_MISSING", data: { snapshot_id: second.place.snapshot_id } });
    expect(() => lstatSync(at(second.place))).toThrow("ENOENT");
  });

  describe("that point where they must not are refused, and nothing is written", () => {
    let base: Packed;
    beforeEach(async () => {
      base = await packSnapshot(lab, async ({ add }) => {
        await add(dir("top"));
        await add(...file("top/file", noise(3_000_000, 3)));
        await add(...file("top/other", Buffer.from("other")));
      });
    });
    type Options = NonNullable<Parameters<typeof packSnapshot>[2]>;
    const pointing = (
      options: Options,
      stored: Parameters<Parameters<Parameters<typeof packSnapshot>[1]>[0]["refer"]>[3] = {},
    ) =>
      packSnapshot(
        lab,
        async ({ add, refer }) => {
          await add(dir("top"));
          await add(...file("top/new", Buffer.from("new")));
          await refer(base, "top/file", {}, stored);
        },
        { from: [base], ...options },
      );
    const object = (place: SnapshotPlace, name: "artifact" | "blocks" | "manifest" | "index") =>
      join(lab.storeRoot, keysOf(place)[name]);

    async function expectRefused(made: Packed, code: string, named: Packed | null = base): Promise<void> {
      const to = fresh();
      const refused = lab.restore(made.place, to);
      await expect(refused).rejects.toMatchObject({
        code,
        ...(named ? { data: { snapshot_id: named.place.snapshot_id } } : {}),
      });
      expect(filesBelow(to)).toEqual([]);
      const { reporter } = createReportLog();
      const { signal } = new AbortController();
      const checked = await lab.check(made.place);
      const deep = async () => runVerify({ checked, artifact: await lab.open(made.place), reporter, signal });
      expect(await codeOf(deep())).toBe(code);
      if (named) expect(await codeOf(runVerify({ checked, artifact: null, reporter, signal }))).toBe(code);
    }

    test("control: the honest one restores", async () => {
      const to = fresh();
      await lab.restore((await pointing({})).place, to);
      expect(readFileSync(join(to, "top/file")).equals(noise(3_000_000, 3))).toBe(true);
    });

    test("a line that names a snapshot which the manifest does not", async () => {
      await expectRefused(await pointing({ from: [] }), "ARCHIVE_MALFORMED", null);
      const made = await pointing({ from: [first] });
      await expectRefused(made, "ARCHIVE_MALFORMED", null);
      expect(await codeOf((await lab.check(made.place)).earlier(base.place.snapshot_id))).toBe("ARCHIVE_MALFORMED");
    });

    test("an earlier snapshot that is gone, or its artifact or block hashes", async () => {
      const made = await pointing({});
      for (const name of ["artifact", "blocks", "manifest"] as const) {
        const kept = readFileSync(object(base.place, name));
        rmSync(object(base.place, name));
        await expectRefused(made, "ARTIFACT_MISSING");
        writeFileSync(object(base.place, name), kept);
      }
      // Its index is not needed.
      rmSync(object(base.place, "index"));
      expect(await codeOf(lab.restore(made.place, fresh()))).toBe("none");
    });

    test("one that was exchanged for another of the source, for another source's, for one made anew under its id", async () => {
      const made = await pointing({});
      const at = join(lab.storeRoot, keysOf(base.place).dir);
      const exchange = (by: Packed) => {
        rmSync(at, { recursive: true });
        cpSync(join(lab.storeRoot, keysOf(by.place).dir), at, { recursive: true });
      };
      const packing = async ({ add }: Parameters<Parameters<typeof packSnapshot>[1]>[0]) => {
        await add(dir("top"));
        await add(...file("top/file", noise(3_000_000, 3)));
      };
      exchange(await packSnapshot(lab, packing));
      await expectRefused(made, "MANIFEST_TENANT_MISMATCH");
      const elsewhere = { source_id: "22222222-2222-4222-8222-222222222222", snapshot_id: base.place.snapshot_id };
      exchange(await packSnapshot(lab, packing, { place: elsewhere }));
      await expectRefused(made, "MANIFEST_TENANT_MISMATCH");
      rmSync(at, { recursive: true });
      await packSnapshot(lab, packing, { place: base.place });
      await expectRefused(made, "SIGNATURE_INVALID");
    });

    test("a reference to another tenant's or source's snapshot, however genuine", async () => {
      const theirs = await packSnapshot(
        lab,
        async ({ add }) => {
          await add(...file("top/file", noise(3_000_000, 3)));
        },
        { place: { tenant_id: "11111111-1111-4111-8111-111111111111" } },
      );
      const made = await packSnapshot(
        lab,
        async ({ add, refer }) => {
          await add(dir("top"));
          await refer(theirs, "top/file");
        },
        { from: [theirs] },
      );
      await expectRefused(made, "ARTIFACT_MISSING", theirs);
      cpSync(
        join(lab.storeRoot, keysOf(theirs.place).dir),
        join(lab.storeRoot, keysOf({ ...theirs.place, ...lab.place }).dir),
        { recursive: true },
      );
      await expectRefused(made, "MANIFEST_TENANT_MISMATCH", theirs);
    });

    test("one that a stranger signed, under the very hash that is referred to", async () => {
      const stranger = newSigner(generateSigningKey(), lab.workerId);
      const { signature: _, ...body } = base.manifest;
      const forged = signManifest({ ...body, certificate: stranger.certificate }, stranger.privateKey);
      writeFileSync(object(base.place, "manifest"), manifestBytes(forged));
      await expectRefused(await pointing({ from: [{ ...base, manifest: forged }] }), "SIGNATURE_INVALID");
    });

    test("an artifact that is longer, shorter or damaged", async () => {
      const made = await pointing({});
      const path = object(base.place, "artifact");
      const kept = readFileSync(path);
      appendFileSync(path, "x");
      await expectRefused(made, "TRAILING_DATA");
      writeFileSync(path, kept.subarray(0, -1));
      await expectRefused(made, "ARCHIVE_TRUNCATED");
      const flipped = Buffer.from(kept);
      flipped[1_500_000] = (flipped[1_500_000] ?? 0) ^ 1;
      writeFileSync(path, flipped);
      const to = fresh();
      expect(await codeOf(lab.restore(made.place, to))).toBe("ARTIFACT_CORRUPT");
      expect(filesBelow(to)).not.toContain("top/file");
    });

    test("a line that points to another file, or beside one, of the right artifact", async () => {
      const other = base.lines.get("top/other");
      const place = { offset: other?.offset ?? 0, bodyOffset: other?.body_offset ?? 0 };
      const code = async (made: Packed) => codeOf(lab.restore(made.place, fresh()));
      expect(await code(await pointing({}, place))).toBe("ARCHIVE_MALFORMED");
      expect(await code(await pointing({}, { offset: 1 }))).toBe("ARCHIVE_MALFORMED");
      expect(await code(await pointing({}, { sha256: "0".repeat(64) }))).toBe("ARTIFACT_CORRUPT");
    });

    test("a reference that the manifest names twice is one", async () => {
      const twice = referenceTo(base);
      const made = await pointing({ change: (body) => ({ ...body, references: [twice, twice] }) });
      expect(await codeOf(lab.restore(made.place, fresh()))).toBe("none");
    });
  });

  test("many earlier artifacts are not all held open at once", async () => {
    const parts: Packed[] = [];
    for (let i = 0; i < 30; i += 1) {
      parts.push(await packSnapshot(lab, ({ add }) => add(...file(`f${i}`, noise(50_000, i)))));
    }
    const made = await packSnapshot(
      lab,
      async ({ refer }) => {
        for (const [i, part] of parts.entries()) await refer(part, `f${i}`);
      },
      { from: parts },
    );
    const checked = await lab.check(made.place);
    let opened = 0;
    const earlier = (id: string) => {
      opened += 1;
      return checked.earlier(id);
    };
    const artifact = await unsealWithIdentities({ ...checked, earlier }, [lab.keys.identity]);
    const to = fresh();
    expect(await restoreTo(artifact, await createLocalTarget(to))).toMatchObject({ written: 30 });
    for (let i = 0; i < 30; i += 1) expect(readFileSync(join(to, `f${i}`)).equals(noise(50_000, i))).toBe(true);
    // Each is opened when it is prepared; by the time that it is read it had to go for others, and is opened again.
    expect(opened).toBe(60);
  });
});
