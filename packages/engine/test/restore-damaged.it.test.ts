import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createLocalTarget } from "@xvault/archive";
import { type ErrorCode, type OverwritePolicy, type TreeTarget, XVaultError } from "@xvault/kernel";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createReportLog, runRestore, type SnapshotObjects, storedObjects } from "../src/index.ts";
import { entryOf, type Packed, packSnapshot } from "./chain.ts";
import { because, codeOf, filesBelow, type Lab, noSshd, openLab } from "./lab.ts";
import { noise } from "./trees.ts";

const MIB = 1024 * 1024;
/** None of it compresses: a place in the tar is one in the artifact, as good as. */
const FIRST = 3 * MIB;
const SECOND = 6 * MIB;
const CONTENT: Record<string, Buffer> = {
  "top/earlier": noise(100_000, 1),
  "top/first": noise(FIRST, 2),
  "top/second": noise(SECOND, 3),
  "top/link": noise(SECOND, 3),
  "top/small": Buffer.from("behind the damage"),
};
/** In the frame from 6 to 8 MiB: that is `top/second` alone. */
const DAMAGED = { from: 6.4 * MIB, to: 6.6 * MIB };
/** What a restore that has ended early leaves for the next. */
const NOTES = ".xvault-restore-made";

interface Asked {
  code: ErrorCode;
  path: string | null;
}

describe.skipIf(noSshd)(`a restore that is told to go on without what is damaged${because(noSshd)}`, () => {
  let lab: Lab;
  let earlier: Packed;
  let made: Packed;
  let count = 0;
  const fresh = () => join(lab.dir, `out-${(count += 1)}`);
  const file = (path: string): [ReturnType<typeof entryOf>, Buffer] => {
    const body = CONTENT[path] ?? Buffer.alloc(0);
    return [entryOf(path, { size: body.length }), body];
  };

  beforeAll(async () => {
    lab = await openLab();
    earlier = await packSnapshot(lab, async ({ add }) => {
      await add(entryOf("top", { type: "dir", mode: 0o755 }));
      await add(...file("top/earlier"));
    });
    made = await packSnapshot(
      lab,
      async ({ add, refer }) => {
        await add(entryOf("top", { type: "dir", mode: 0o751 }));
        await refer(earlier, "top/earlier");
        await add(...file("top/first"));
        await add(...file("top/second"));
        await add(entryOf("top/link", { type: "hardlink", linkTarget: Buffer.from("top/second") }));
        await add(...file("top/small"));
      },
      { from: [earlier] },
    );
  });
  afterAll(() => lab?.stop());

  /** The stored objects, of whose artifact some reads fail. */
  const objects = (failure: () => XVaultError): SnapshotObjects => {
    const stored = storedObjects(lab.store, made.place);
    return {
      ...stored,
      artifact: async () => {
        const reader = await stored.artifact();
        return {
          size: reader.size,
          read: async (offset, length) => {
            if (offset < DAMAGED.to && offset + length > DAMAGED.from) throw failure();
            return reader.read(offset, length);
          },
        };
      },
    };
  };
  const systemSays = (system: string) => () => new XVaultError("STORAGE_FAILED", undefined, { data: { system } });

  const restore = async (
    to: string,
    from: SnapshotObjects,
    options: { goOn?: boolean; overwrite?: OverwritePolicy; target?: TreeTarget } = {},
  ) => {
    const asked: Asked[] = [];
    const { goOn = true, overwrite = "never" } = options;
    const work = async () =>
      runRestore({
        artifact: await lab.open(made.place, { objects: from }),
        paths: [],
        target: options.target ?? (await createLocalTarget(to, { overwrite })),
        localRoot: to,
        onDamage: ({ code }, path) => {
          asked.push({ code, path: path && path.toString() });
          return goOn;
        },
        reporter: createReportLog().reporter,
        signal: new AbortController().signal,
      });
    const result = await work().catch((error: unknown) => error);
    return { result, asked };
  };
  function expectFiles(to: string, paths: string[]): void {
    expect(filesBelow(to).filter((path) => path !== NOTES)).toEqual(paths);
    for (const path of paths)
      expect(readFileSync(join(to, path)).equals(CONTENT[path] ?? Buffer.alloc(0)), path).toBe(true);
  }

  test("a sector that cannot be read takes only what lies on it along, and the link to that", async () => {
    const to = fresh();
    const { result, asked } = await restore(to, objects(systemSays("EIO")));
    expect(asked).toEqual([
      { code: "STORAGE_FAILED", path: "top/second" },
      { code: "ARTIFACT_CORRUPT", path: "top/link" },
    ]);
    expectFiles(to, ["top/earlier", "top/first", "top/small"]);
    expect(result).toMatchObject({ written: 4, skipped: 0, problems: 0 });
  });

  test("whoever wants to be asked and says no has it as without being asked", async () => {
    const to = fresh();
    const { result, asked } = await restore(to, objects(systemSays("EIO")), { goOn: false });
    expect(result).toMatchObject({ code: "STORAGE_FAILED" });
    expect(asked).toEqual([{ code: "STORAGE_FAILED", path: "top/second" }]);
    expectFiles(to, ["top/earlier", "top/first"]);
  });

  test("a storage that does not answer is no damage: nothing is left out", async () => {
    for (const failure of [
      systemSays("ETIMEDOUT"),
      () => new XVaultError("UNAVAILABLE"),
      () => new XVaultError("STORAGE_DENIED"),
    ]) {
      const to = fresh();
      const { result, asked } = await restore(to, objects(failure));
      expect(result).toMatchObject({ code: failure().code });
      expect(asked).toEqual([]);
      expectFiles(to, ["top/earlier", "top/first"]);
    }
  });

  test("what is there already and is kept is not asked for, however damaged its bytes are", async () => {
    const to = fresh();
    mkdirSync(join(to, "top"), { recursive: true });
    writeFileSync(join(to, "top/second"), CONTENT["top/second"] ?? "");
    const { asked } = await restore(to, objects(systemSays("EIO")));
    expect(asked).toEqual([]);
    expectFiles(to, ["top/earlier", "top/first", "top/link", "top/second", "top/small"]);
  });

  test.each([
    ["is missing", "ARTIFACT_MISSING"],
    ["was exchanged", "SIGNATURE_INVALID"],
    ["has a damaged header", "ARTIFACT_CORRUPT"],
  ] as const)(
    "an earlier artifact that %s is asked about once before anything is written, then for each entry",
    async (what, code) => {
      const stored = storedObjects(lab.store, made.place);
      const other = storedObjects(lab.store, earlier.place);
      const changed: Record<typeof what, Partial<SnapshotObjects>> = {
        "is missing": { artifact: () => Promise.reject(new XVaultError("ARTIFACT_MISSING")) },
        "was exchanged": {
          manifest: async () => Buffer.from((await other.manifest()).toString().replace('"attempt":1', '"attempt":2')),
        },
        "has a damaged header": {
          artifact: async () => {
            const reader = await other.artifact();
            return {
              size: reader.size,
              read: async (offset, length) => (await reader.read(offset, length)).fill(0x20),
            };
          },
        },
      };
      const from = { ...stored, earlier: () => ({ ...other, ...changed[what] }) };
      const to = fresh();
      const { result, asked } = await restore(to, from);
      expect(asked).toEqual([
        { code, path: null },
        { code, path: "top/earlier" },
      ]);
      expect(result).toMatchObject({ written: 5 });
      expectFiles(to, ["top/first", "top/link", "top/second", "top/small"]);

      const ended = fresh();
      expect((await restore(ended, from, { goOn: false })).result).toMatchObject({ code });
      expect(filesBelow(ended)).toEqual([]);
    },
  );

  test("what the target refuses is no damage", async () => {
    const to = fresh();
    const target = await createLocalTarget(to);
    const full: TreeTarget = {
      put: async (entry, body, sha256) => {
        // Before the bytes are asked for, and with a code that stored bytes have too.
        if (entry.path.toString() === "top/second") throw new XVaultError("ARCHIVE_MALFORMED");
        return target.put(entry, body, sha256);
      },
      finish: () => target.finish(),
      abort: () => target.abort(),
    };
    const { result, asked } = await restore(to, storedObjects(lab.store, made.place), { target: full });
    expect(result).toMatchObject({ code: "ARCHIVE_MALFORMED" });
    expect(asked).toEqual([]);
  });

  test("control: whole objects restore wholly, and nothing is asked", async () => {
    const to = fresh();
    const { asked } = await restore(to, storedObjects(lab.store, made.place));
    expect(asked).toEqual([]);
    expectFiles(to, ["top/earlier", "top/first", "top/link", "top/second", "top/small"]);
    expect(await codeOf(lab.restore(made.place, fresh()))).toBe("none");
  });
});
