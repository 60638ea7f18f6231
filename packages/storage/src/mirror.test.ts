import { isXVaultError, XVaultError } from "@xvault/kernel";
import { fuzz } from "@xvault/test-kit/fuzz";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { codeOf, pattern, put, storeConformance } from "./conformance.suite.ts";
import { createMemoryStore } from "./memory.ts";
import { createMirror, type Mirror } from "./mirror.ts";
import type { ObjectStore, ObjectWriter } from "./object-store.ts";
import { faulty, type Reached } from "./test/faulty.ts";

const broken = (text = "on demand") => new XVaultError("STORAGE_FAILED", text);

/** A mirror of watched stores in memory, named a, b, … */
function mirrorOf(...faults: ((call: Reached) => XVaultError | null)[]) {
  const inner = faults.map(() => createMemoryStore());
  const stores = faults.map((fault, at) => faulty(inner[at] as ObjectStore, fault));
  const told: string[] = [];
  const members = stores.map((store, at) => ({ name: String.fromCodePoint(97 + at), store }));
  const mirror = createMirror(members, { onLost: (name, error) => told.push(`${name}: ${error.message}`) });
  return { mirror, inner, stores, told };
}

const never = () => null;
const on = (name: string, text?: string) => (call: Reached) => (call.name === name ? broken(text) : null);

/** Key and content of everything that a store has. */
async function contentOf(store: ObjectStore): Promise<Map<string, string>> {
  const content = new Map<string, string>();
  for await (const { key } of store.list("")) content.set(key, (await store.readAll(key, 2 ** 20)).toString("hex"));
  return content;
}

storeConformance("A mirror of one", async () => mirrorOf(never).mirror);
storeConformance("A mirror of three", async () => mirrorOf(never, never, never).mirror);
storeConformance("A mirror whose first member lists and reads nothing", async () => {
  const unread = ["read", "list", "folders"];
  return mirrorOf(({ name }) => (unread.includes(name) ? broken() : null), never).mirror;
});

describe("a member that fails", () => {
  test.each(["create", "write", "close", "commit"])("at %s is given up, and the run goes on", async (name) => {
    const { mirror, inner, told } = mirrorOf(on(name), never);
    const writer = await mirror.create("t/a");
    await writer.write(pattern(10));
    await writer.close();
    await writer.commit();
    await put(mirror, "t/b", pattern(11));
    expect(told).toEqual(["a: on demand"]);
    expect([...mirror.lost().keys()]).toEqual(["a"]);
    expect(mirror.healthy()).toEqual(["b"]);
    expect([...(await contentOf(inner[0] as ObjectStore)).keys()]).toEqual([]);
    expect([...(await contentOf(inner[1] as ObjectStore)).keys()]).toEqual(["t/a", "t/b"]);
  });

  test("has its other writers aborted and is asked for nothing more, except to remove", async () => {
    const { mirror, stores } = mirrorOf(({ key, name }) => (key === "b" && name === "write" ? broken() : null), never);
    const [first, second] = [await mirror.create("a"), await mirror.create("b")];
    await first.write(pattern(1));
    await second.write(pattern(1));
    expect(stores[0]?.reached.filter(({ name }) => name === "abort").map(({ key }) => key)).toEqual(["a", "b"]);
    const before = stores[0]?.reached.length;
    await first.write(pattern(1));
    await first.commit();
    await second.commit();
    await mirror.stat("a");
    await mirror.freeBytes();
    await mirror.remove("a");
    expect(stores[0]?.reached.slice(before).map(({ name }) => name)).toEqual(["remove"]);
    expect(await stores[1]?.stat("a")).toBeNull();
  });

  test("last is not given up: its error is thrown", async () => {
    const { mirror, inner, told } = mirrorOf(on("commit", "first"), on("commit", "second"));
    const writer = await mirror.create("a");
    await writer.write(pattern(1));
    await expect(writer.commit()).rejects.toThrow("second");
    await writer.abort();
    expect(told).toEqual(["a: first"]);
    expect(mirror.healthy()).toEqual(["b"]);
    for (const store of inner) expect((await contentOf(store)).size).toBe(0);
  });

  test("leaves no writer that could publish less than it was given", async () => {
    const { mirror } = mirrorOf(on("write"));
    const writer = await mirror.create("a");
    expect(await codeOf(Promise.resolve(writer.write(pattern(1))))).toBe("STORAGE_FAILED");
    expect(await codeOf(writer.commit())).toBe("STORAGE_FAILED");
    expect(await mirror.stat("a")).toBeNull();
  });
});

describe("a key that is taken", () => {
  test("on any member is taken, and nobody is given up for it", async () => {
    const { mirror, inner, stores } = mirrorOf(never, never);
    await put(inner[1] as ObjectStore, "a", pattern(3));
    expect(await codeOf(mirror.create("a"))).toBe("OBJECT_EXISTS");
    expect(mirror.lost().size).toBe(0);
    expect(stores[0]?.reached.map(({ name }) => name)).toEqual(["create", "abort"]);
    expect(await mirror.stat("a")).toEqual({ sizeBytes: 3 });
  });

  test("on one alone at the commit costs that one", async () => {
    const { mirror, inner } = mirrorOf(never, never);
    const writer = await mirror.create("a");
    await writer.write(pattern(4));
    await put(inner[0] as ObjectStore, "a", pattern(3));
    await writer.commit();
    expect(mirror.lost().get("a")?.code).toBe("OBJECT_EXISTS");
    expect(await mirror.stat("a")).toEqual({ sizeBytes: 4 });
  });
});

describe("reading", () => {
  test("goes on with the next member, also in the middle of an object", async () => {
    let broke = false;
    const { mirror, inner, stores } = mirrorOf(({ name }) => (name === "read" && broke ? broken() : null), never);
    await put(mirror, "a", pattern(1000));
    const reader = await mirror.reader("a");
    expect((await reader.read(0, 500)).equals(pattern(1000).subarray(0, 500))).toBe(true);
    broke = true;
    expect((await reader.read(500, 500)).equals(pattern(1000).subarray(500))).toBe(true);
    expect(await codeOf(reader.read(500, 501))).toBe("ARCHIVE_TRUNCATED");
    await inner[0]?.remove("a");
    expect((await mirror.readAll("a", 1000)).equals(pattern(1000))).toBe(true);
    expect(await mirror.stat("a")).toEqual({ sizeBytes: 1000 });
    expect(mirror.lost().size).toBe(0);
    expect(stores[1]?.reached.filter(({ name }) => name === "read").length).toBe(1);
  });

  test("calls an object missing only when every member does", async () => {
    const { mirror } = mirrorOf(never, ({ name }) => (["stat", "readAll", "reader"].includes(name) ? broken() : null));
    expect(await codeOf(mirror.stat("a"))).toBe("STORAGE_FAILED");
    expect(await codeOf(mirror.readAll("a", 1))).toBe("STORAGE_FAILED");
    expect(await codeOf(mirror.reader("a"))).toBe("STORAGE_FAILED");
  });
});

test("an abort while a commit is under way leaves all members alike", async () => {
  const { mirror, inner } = mirrorOf(never, never);
  const writer = await mirror.create("a");
  await writer.write(pattern(1));
  const committed = writer.commit();
  await writer.abort();
  await committed;
  for (const store of inner) expect((await contentOf(store)).size).toBe(1);
});

test("what fails to be removed on one member is removed on the others, and told", async () => {
  const { mirror, inner } = mirrorOf(on("remove"), never);
  await put(mirror, "a", pattern(1));
  expect(await codeOf(mirror.remove("a"))).toBe("STORAGE_FAILED");
  expect(await inner[1]?.stat("a")).toBeNull();
  expect(mirror.lost().size).toBe(0);
});

test("members need names that differ", () => {
  const member = { name: "a", store: createMemoryStore() };
  expect(() => createMirror([], { onLost: () => {} })).toThrow(XVaultError);
  expect(() => createMirror([member, member], { onLost: () => {} })).toThrow(XVaultError);
});

const WRITING = new Set(["create", "write", "close", "commit"]);

/** Two objects that are written side by side, so that what one writer meets is seen by the other. */
interface Pair {
  chunks: Uint8Array[];
  ending: "commit" | "close and commit" | "abort";
  together: boolean;
}
const pair: fc.Arbitrary<Pair> = fc.record({
  chunks: fc.array(fc.uint8Array({ maxLength: 20 }), { maxLength: 4 }),
  ending: fc.constantFrom("commit", "close and commit", "abort"),
  together: fc.boolean(),
});

async function writePair(mirror: Mirror, { chunks, ending, together }: Pair, keys: readonly string[]): Promise<void> {
  const writers: ObjectWriter[] = [];
  const begin = async (key: string) => void writers.push(await mirror.create(key));
  const each = async <T>(all: readonly T[], work: (one: T) => Promise<void>) => {
    if (together) await allOf(all.map(work));
    else for (const one of all) await work(one);
  };
  try {
    await each(keys, begin);
    for (const chunk of chunks) await each(writers, async (writer) => writer.write(Buffer.from(chunk)));
    if (ending === "close and commit") await each(writers, (writer) => writer.close());
    if (ending !== "abort") await each(writers, (writer) => writer.commit());
  } finally {
    for (const writer of writers) await writer.abort();
  }
}

/** Waits for all, then throws the first failure: nothing goes on behind the back of the test. */
async function allOf(work: Promise<void>[]): Promise<void> {
  await Promise.allSettled(work);
  await Promise.all(work);
}

test("whoever fails whenever: the run survives while one member does, and all that are left hold the same, whole", async () => {
  const seen = { survived: 0, failed: 0, lost: 0 };
  const failAt = fc.oneof(fc.constant(null), fc.nat(40), fc.nat(40));
  await fuzz(
    fc.tuple(fc.array(pair, { minLength: 1, maxLength: 4 }), fc.array(failAt, { minLength: 1, maxLength: 4 })),
    async ([pairs, faults]) => {
      // Each member fails once, at its nth call that writes, and would be well again after that.
      const fired = faults.map(() => false);
      const { mirror, inner, stores, told } = mirrorOf(
        ...faults.map((nth, at) => {
          let calls = -1;
          return ({ name }: Reached) => {
            if (!WRITING.has(name) || (calls += 1) !== nth) return null;
            fired[at] = true;
            return broken();
          };
        }),
      );
      const model = new Map<string, string>();
      let survived = true;
      for (const [at, one] of pairs.entries()) {
        const keys = [`t/${at}/one`, `t/${at}/two`];
        try {
          await writePair(mirror, one, keys);
        } catch (error) {
          if (!isXVaultError(error, "STORAGE_FAILED")) throw error;
          survived = false;
          break;
        }
        if (one.ending !== "abort") for (const key of keys) model.set(key, Buffer.concat(one.chunks).toString("hex"));
      }

      expect(survived).toBe(fired.includes(false));
      expect(told.length).toBe(mirror.lost().size);
      expect([...mirror.lost().keys(), ...mirror.healthy()].length).toBe(faults.length);
      for (const [at, store] of inner.entries()) {
        const name = String.fromCodePoint(97 + at);
        const healthy = mirror.healthy().includes(name);
        if (survived) expect(healthy).toBe(!fired[at]);
        const content = await contentOf(store);
        if (healthy && survived) expect(content).toEqual(model);
        // Before a failure, and on members that were given up: perhaps not all, but what is there is whole.
        for (const [key, bytes] of content) if (model.has(key)) expect(bytes).toBe(model.get(key));
        // Nobody is written to after its failure, and no writer is left behind.
        const writing = stores[at]?.reached.filter(({ name: call }) => WRITING.has(call)) ?? [];
        if (fired[at] && !healthy) expect(writing.length).toBeLessThanOrEqual((faults[at] ?? 0) + 2);
        await store.removeTree("t");
        const folders: string[] = [];
        for await (const folder of store.folders("")) folders.push(folder);
        expect(folders).toEqual([]);
        expect(await store.freeBytes()).toBe(Infinity);
      }
      seen[survived ? "survived" : "failed"] += 1;
      seen.lost += mirror.lost().size;
    },
    400,
  );
  expect(Math.min(seen.survived, seen.failed, seen.lost)).toBeGreaterThan(20);
});
