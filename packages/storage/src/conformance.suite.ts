import { isXVaultError } from "@xvault/kernel";
import { describe, expect, test } from "vitest";
import type { ObjectStore } from "./object-store.ts";

const MiB = 1024 * 1024;

/** Bytes that differ at every place, so that a swapped or doubled piece is noticed. */
export function pattern(length: number, seed = 0): Buffer {
  const bytes = Buffer.alloc(length);
  let state = seed + 0x9e3779b9;
  for (let at = 0; at < length; at += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes[at] = state >>> 24;
  }
  return bytes;
}

/** Writes an object whole. */
export async function put(store: ObjectStore, key: string, ...chunks: Buffer[]): Promise<void> {
  const writer = await store.create(key);
  for (const chunk of chunks) await writer.write(chunk);
  await writer.commit();
}

async function keysOf(store: ObjectStore, prefix: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list(prefix)) keys.push(key);
  return keys.toSorted();
}

/** The code that a promise rejects with, or 'none' when it resolves; anything that is not ours is thrown on. */
export async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return "none";
  } catch (error) {
    if (isXVaultError(error)) return error.code;
    throw error;
  }
}

/** What every driver must do. `open` gives a fresh, empty store. */
export function storeConformance(name: string, open: () => Promise<ObjectStore>): void {
  describe(`${name} keeps the store's contract`, () => {
    test("gives back the bytes it took, whole and in ranges", async () => {
      const store = await open();
      const chunks = [pattern(3), pattern(0), pattern(2 * MiB + 17, 1), pattern(65_536, 2), pattern(1, 3)];
      const whole = Buffer.concat(chunks);
      await put(store, "a/b/object.bin", ...chunks);

      expect(await store.stat("a/b/object.bin")).toEqual({ sizeBytes: whole.length });
      expect((await store.readAll("a/b/object.bin", whole.length)).equals(whole)).toBe(true);
      const reader = await store.reader("a/b/object.bin");
      expect(reader.size).toBe(whole.length);
      const ranges = [
        [0, 3],
        [1, MiB],
        [whole.length - 1, 1],
        [whole.length, 0],
        [MiB, MiB + 5],
      ] as const;
      const pieces = await Promise.all(ranges.map(([offset, length]) => reader.read(offset, length)));
      for (const [at, [offset, length]] of ranges.entries()) {
        expect(pieces[at]?.equals(whole.subarray(offset, offset + length))).toBe(true);
      }
    });

    test("takes very many small chunks", async () => {
      const store = await open();
      const chunks = Array.from({ length: 5000 }, (_, at) => pattern(1 + (at % 7), at));
      await put(store, "small", ...chunks);
      expect((await store.readAll("small", MiB)).equals(Buffer.concat(chunks))).toBe(true);
    });

    test("keeps an empty object", async () => {
      const store = await open();
      await put(store, "empty");
      expect(await store.stat("empty")).toEqual({ sizeBytes: 0 });
      expect((await store.readAll("empty", 0)).length).toBe(0);
    });

    test("shows nothing under the key before commit, not even after close", async () => {
      const store = await open();
      const writer = await store.create("dir/late");
      await writer.write(pattern(2 * MiB));
      await writer.close();
      expect(writer.sizeBytes).toBe(2 * MiB);
      expect(await store.stat("dir/late")).toBeNull();
      expect(await codeOf(store.reader("dir/late"))).toBe("ARTIFACT_MISSING");
      expect(await keysOf(store, "")).toEqual([]);
      await writer.commit();
      expect(await keysOf(store, "")).toEqual(["dir/late"]);
    });

    test("forgets what was aborted, and the key can be used again", async () => {
      const store = await open();
      const writer = await store.create("dir/again");
      await writer.write(pattern(MiB + 1));
      await writer.abort();
      await writer.abort();
      expect(await codeOf(Promise.resolve(writer.write(pattern(1))))).toBe("STORAGE_FAILED");
      expect(await codeOf(writer.commit())).toBe("STORAGE_FAILED");
      expect(await store.stat("dir/again")).toBeNull();
      await put(store, "dir/again", pattern(5));
      expect(await store.stat("dir/again")).toEqual({ sizeBytes: 5 });
    });

    test("an abort after the commit changes nothing", async () => {
      const store = await open();
      const writer = await store.create("kept");
      await writer.write(pattern(9));
      await writer.commit();
      await writer.abort();
      expect((await store.readAll("kept", 9)).equals(pattern(9))).toBe(true);
    });

    test("never replaces an object", async () => {
      const store = await open();
      const second = await store.create("once");
      const third = await store.create("once");
      await put(store, "once", Buffer.from("first"));
      expect(await codeOf(store.create("once"))).toBe("OBJECT_EXISTS");
      await second.write(Buffer.from("second"));
      await third.write(Buffer.from("third"));
      expect(await Promise.all([codeOf(second.commit()), codeOf(third.commit())])).toEqual([
        "OBJECT_EXISTS",
        "OBJECT_EXISTS",
      ]);
      expect((await store.readAll("once", 100)).toString()).toBe("first");
    });

    test("of several writers of one key that commit together, one wins whole", async () => {
      const store = await open();
      const writers = await Promise.all(Array.from({ length: 5 }, () => store.create("race/key")));
      for (const [at, writer] of writers.entries()) await writer.write(Buffer.alloc(1000, at));
      const codes = await Promise.all(writers.map((writer) => codeOf(writer.commit())));
      expect(codes.toSorted()).toEqual(["OBJECT_EXISTS", "OBJECT_EXISTS", "OBJECT_EXISTS", "OBJECT_EXISTS", "none"]);
      expect((await store.readAll("race/key", 1000)).equals(Buffer.alloc(1000, codes.indexOf("none")))).toBe(true);
    });

    test("names what is missing, too short and too large", async () => {
      const store = await open();
      await put(store, "ten", pattern(10));
      expect(await store.stat("none")).toBeNull();
      expect(await store.stat("ten/below")).toBeNull();
      expect(await codeOf(store.reader("none"))).toBe("ARTIFACT_MISSING");
      expect(await codeOf(store.readAll("none", 10))).toBe("ARTIFACT_MISSING");
      expect(await codeOf(store.readAll("ten", 9))).toBe("ARTIFACT_CORRUPT");
      const reader = await store.reader("ten");
      expect(await codeOf(reader.read(5, 6))).toBe("ARCHIVE_TRUNCATED");
      expect(await codeOf(reader.read(-1, 2))).toBe("ARCHIVE_TRUNCATED");
    });

    test("lists by whole segments", async () => {
      const store = await open();
      for (const key of ["t1/s/a", "t1/s/b", "t1/s2/a", "t10/s/a", "top"]) await put(store, key, pattern(4));
      expect(await keysOf(store, "")).toEqual(["t1/s/a", "t1/s/b", "t1/s2/a", "t10/s/a", "top"]);
      expect(await keysOf(store, "t1")).toEqual(["t1/s/a", "t1/s/b", "t1/s2/a"]);
      expect(await keysOf(store, "t1/s")).toEqual(["t1/s/a", "t1/s/b"]);
      expect(await keysOf(store, "t")).toEqual([]);
      for await (const { sizeBytes } of store.list("t1")) expect(sizeBytes).toBe(4);
    });

    test("tells which folders there are, those of objects that are being written too", async () => {
      const store = await open();
      const folders = async (prefix: string) => {
        const names: string[] = [];
        for await (const name of store.folders(prefix)) names.push(name);
        return names.toSorted();
      };
      expect(await folders("t1")).toEqual([]);
      for (const key of ["t1/s/a", "t1/s/b", "t1/s2/deep/a", "t1/object", "t10/s/a", "top"])
        await put(store, key, pattern(4));
      const writer = await store.create("t1/s3/begun");
      await writer.write(pattern(4));
      expect(await folders("")).toEqual(["t1", "t10"]);
      expect(await folders("t1")).toEqual(["s", "s2", "s3"]);
      expect(await folders("t1/s")).toEqual([]);
      expect(await folders("t")).toEqual([]);
      await expect(folders("../t1")).rejects.toMatchObject({ code: "PATH_INVALID" });
      await writer.abort();
      await store.removeTree("t1/s3");
      expect(await folders("t1")).toEqual(["s", "s2"]);
    });

    test("removes one object, or a tree of them, and does not mind doing it twice", async () => {
      const store = await open();
      for (const key of ["t1/s/a", "t1/s/b", "t1/s2/a", "t10/s/a"]) await put(store, key, pattern(4));
      await store.remove("t1/s/a");
      await store.remove("t1/s/a");
      await store.remove("t1/s");
      expect(await keysOf(store, "t1")).toEqual(["t1/s/b", "t1/s2/a"]);
      await store.removeTree("t1");
      await store.removeTree("t1");
      expect(await keysOf(store, "")).toEqual(["t10/s/a"]);
    });

    test.each([
      "",
      "/",
      "/etc/passwd",
      "a//b",
      "a/",
      "../a",
      "a/../b",
      "a/./b",
      ".hidden",
      "a/.part-1",
      "-rf",
      "a b",
      "a\\b",
      "a\0b",
      "ä",
      "a\nb",
      "x".repeat(300),
      `${"x/".repeat(600)}x`,
    ])("refuses the key %j everywhere", async (key) => {
      const store = await open();
      expect(await codeOf(store.create(key))).toBe("PATH_INVALID");
      expect(await codeOf(store.stat(key))).toBe("PATH_INVALID");
      expect(await codeOf(store.reader(key))).toBe("PATH_INVALID");
      expect(await codeOf(store.readAll(key, 1))).toBe("PATH_INVALID");
      expect(await codeOf(store.remove(key))).toBe("PATH_INVALID");
      expect(await codeOf(store.removeTree(key))).toBe("PATH_INVALID");
    });

    test("refuses to list below what is no key", async () => {
      const store = await open();
      expect(await codeOf(keysOf(store, "../elsewhere"))).toBe("PATH_INVALID");
      expect(await codeOf(keysOf(store, "/"))).toBe("PATH_INVALID");
    });

    test("knows its free space", async () => {
      expect(await (await open()).freeBytes()).toBeGreaterThan(0);
    });
  });
}
