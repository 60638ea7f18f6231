import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isXVaultError } from "@xvault/kernel";
import { fuzz, orRefused } from "@xvault/test-kit/fuzz";
import { createBucket } from "@xvault/test-kit/s3";
import fc from "fast-check";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { checkKey, snapshotKeys } from "./keys.ts";
import { openLocalStore } from "./local-fs.ts";
import { createMemoryStore } from "./memory.ts";
import type { ObjectStore } from "./object-store.ts";
import { connectRemote } from "./rclone/connect.ts";
import { openS3Store } from "./s3/open.ts";

let scratch: string;
let count = 0;
beforeAll(() => {
  scratch = realpathSync(mkdtempSync(join(tmpdir(), "xvault-store-fuzz-")));
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** Keys that are fine, keys that climb, and keys that mean something to a system. */
const part = fc.oneof(
  fc.constantFrom(
    "a",
    "b",
    "c",
    "..",
    ".",
    "",
    ".part-x",
    "-rf",
    "~",
    "a b",
    "ä",
    "\0",
    "\n",
    "a\\..\\b",
    "C:",
    "x".repeat(201),
  ),
  fc.string({ maxLength: 5 }),
);
const plainPart = fc.constantFrom("a", "b", "c");
const oddKey = fc
  .oneof(fc.array(part, { maxLength: 5 }), fc.array(plainPart, { minLength: 1, maxLength: 3 }))
  .map((parts) => parts.join("/"));

test("no text that is taken for a key leaves its store", async () => {
  const root = join(scratch, "odd");
  mkdirSync(root);
  const beside = join(scratch, "beside");
  writeFileSync(beside, "not of this store");
  const store = await openLocalStore({ root: join(root, "store") });
  const seen = { taken: 0, refused: 0 };
  await fuzz(
    fc.oneof(oddKey, fc.constantFrom("../beside", "a/../../beside", "/etc/passwd", "a//b", "a/", "/")),
    async (key) => {
      const uses: (() => Promise<unknown>)[] = [
        () => store.stat(key),
        async () => (await store.reader(key)).read(0, 1),
        () => store.readAll(key, 10),
        () => store.remove(key),
        () => store.removeTree(key),
        async () => {
          for await (const _ of store.list(key)) break;
        },
        async () => {
          const writer = await store.create(key);
          await writer.write(Buffer.from("x"));
          await writer.commit();
        },
      ];
      const valid = (await orRefused(["PATH_INVALID"], () => (checkKey(key), true))) !== null;
      seen[valid ? "taken" : "refused"] += 1;
      for (const use of uses) {
        const code = await use().then(
          () => "none",
          (error: unknown) => (isXVaultError(error) ? error.code : error),
        );
        // The empty prefix of a list is the whole store.
        if (!valid && key !== "") expect(code).toBe("PATH_INVALID");
        // Keys of one run may be parents of each other: then a file stands where a directory should.
        else if (key !== "") expect(["none", "ARTIFACT_MISSING", "OBJECT_EXISTS", "STORAGE_FAILED"]).toContain(code);
      }
      await store.removeTree("a").catch(() => {});
    },
    400,
  );
  expect(Math.min(seen.taken, seen.refused)).toBeGreaterThan(20);
  expect(readdirSync(root)).toEqual(["store"]);
  expect(readdirSync(scratch).includes("beside")).toBe(true);
});

test("a snapshot's place is made of ids or not at all", async () => {
  const id = fc.oneof(fc.uuid(), fc.string(), fc.constantFrom("..", "a/b", "A".repeat(36), ""));
  await fuzz(fc.tuple(id, id, id), async ([tenant, source, snapshot]) => {
    const keys = await orRefused(["PATH_INVALID"], () =>
      snapshotKeys(
        tenant as Parameters<typeof snapshotKeys>[0],
        source as Parameters<typeof snapshotKeys>[1],
        snapshot as Parameters<typeof snapshotKeys>[2],
      ),
    );
    for (const key of Object.values(keys ?? {})) {
      expect(key.startsWith(`backups/${tenant}/${source}/${snapshot}`)).toBe(true);
      expect(() => checkKey(key)).not.toThrow();
    }
  });
});

interface Step {
  act: "create" | "abort" | "half" | "stat" | "read" | "readAll" | "list" | "remove" | "removeTree";
  key: string;
  data: Uint8Array;
  from: number;
  length: number;
}
// No key is a parent of another: a file system cannot hold both, a store of objects could.
const keys = ["top", "d/one", "d/two", "d/e/three", "f/four"];
const prefixes = ["d", "d/e", "f", "nowhere"];
const step: fc.Arbitrary<Step> = fc.record({
  act: fc.constantFrom("create", "create", "abort", "half", "stat", "read", "readAll", "list", "remove", "removeTree"),
  key: fc.constantFrom(...keys),
  data: fc.uint8Array({ maxLength: 40 }),
  from: fc.integer({ min: -2, max: 50 }),
  length: fc.oneof(fc.integer({ min: -2, max: 50 }), fc.constantFrom(2 ** 31, 2 ** 52)),
});

/** What a step gives, in words that two stores can be compared by. */
async function perform(store: ObjectStore, { act, key, data, from, length }: Step): Promise<unknown> {
  const prefix = prefixes[data.length % prefixes.length] ?? "";
  switch (act) {
    case "create":
    case "abort":
    case "half": {
      const writer = await store.create(key);
      await writer.write(Buffer.from(data));
      if (act === "create") await writer.commit();
      else {
        if (act === "half") await writer.close();
        await writer.abort();
      }
      return writer.sizeBytes;
    }
    case "stat":
      return store.stat(key);
    case "read":
      return (await store.reader(key)).read(from, length);
    case "readAll":
      return store.readAll(key, Math.max(0, from));
    case "list": {
      const found = [];
      for await (const one of store.list(length % 2 === 0 ? prefix : "")) found.push(`${one.key} ${one.sizeBytes}`);
      return found.sort();
    }
    case "remove":
      return store.remove(key);
    case "removeTree":
      return store.removeTree(prefix);
  }
}

/** Does the same in a store and in one in memory, and holds their answers against each other. `onFiles`: the former's files lie below `scratch`. */
async function answerAlike(
  open: (folder: string) => Promise<ObjectStore>,
  runs: number,
  onFiles = true,
): Promise<void> {
  await fuzz(
    fc.array(step, { minLength: 5, maxLength: 25, size: "max" }),
    async (steps) => {
      count += 1;
      const stores = [await open(`model-${count}`), createMemoryStore()];
      for (const one of steps) {
        const [tried, memory] = await Promise.all(
          stores.map((store) =>
            perform(store, one).then(
              (value) => ({ value }),
              (error: unknown) => {
                if (isXVaultError(error)) return { code: error.code };
                throw error;
              },
            ),
          ),
        );
        expect(tried).toEqual(memory);
      }
      if (!onFiles) return;
      // Nothing but objects is left: no temporary file, whether or not a store would list it.
      const listed = (await perform(stores[0] as ObjectStore, { ...EMPTY, act: "list", length: 1 })) as string[];
      const folder = join(scratch, `model-${count}`);
      const lying = existsSync(folder) ? readdirSync(folder, { recursive: true, withFileTypes: true }) : [];
      expect(lying.filter((found) => found.isFile()).length).toBe(listed.length);
    },
    runs,
  );
}

test("whatever is done in whatever order, a directory and a store in memory answer the same", async () => {
  await answerAlike((folder) => openLocalStore({ root: join(scratch, folder) }), 120);
});

const missing = spawnSync("rclone", ["version"]).status === 0 ? "" : "rclone is not installed";

test.skipIf(missing)(`and so does rclone${missing && ` (skipped: ${missing})`}`, async () => {
  const remote = { type: "alias", plain: { remote: scratch }, secret: {}, obscured: {}, path: "" };
  const connection = await connectRemote(remote, {});
  try {
    await answerAlike(async (folder) => connection.at(folder), 15);
  } finally {
    await connection.close();
  }
});

const radosgw = inject("radosgw");
const noGateway = radosgw.missing ?? "";

test.skipIf(noGateway)(`and so does a bucket${noGateway && ` (skipped: ${noGateway})`}`, async () => {
  const [user] = radosgw.users;
  await createBucket(radosgw.place, user, "fuzz");
  const target = { ...radosgw.place, ...user, bucket: "fuzz", pathStyle: true, storageClass: null, lock: null };
  await answerAlike((folder) => openS3Store({ ...target, prefix: folder }), 15, false);
});

const EMPTY: Step = { act: "list", key: "top", data: new Uint8Array(0), from: 0, length: 1 };
