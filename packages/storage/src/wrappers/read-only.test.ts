import { expect, test } from "vitest";
import { codeOf, pattern, put, storeConformance } from "../conformance.suite.ts";
import { createMemoryStore } from "../memory.ts";
import { faulty } from "../test/faulty.ts";
import { readOnly } from "./read-only.ts";

// Written beside it, read through it.
storeConformance("A store that is only read", async () => {
  const store = createMemoryStore();
  const { create, remove, removeTree, sweepTemporary } = store;
  return { ...readOnly(store), create, remove, removeTree, sweepTemporary };
});

test("nothing that would change the store reaches it", async () => {
  const inner = createMemoryStore();
  await put(inner, "t/a", pattern(5));
  const watched = faulty(inner);
  const store = readOnly(watched);
  expect(await codeOf(store.create("t/b"))).toBe("STORAGE_READ_ONLY");
  expect(await codeOf(store.remove("t/a"))).toBe("STORAGE_READ_ONLY");
  expect(await codeOf(store.removeTree("t"))).toBe("STORAGE_READ_ONLY");
  expect(await codeOf(store.sweepTemporary(0))).toBe("STORAGE_READ_ONLY");
  expect(await codeOf(store.sweepTemporary(0, "t"))).toBe("STORAGE_READ_ONLY");
  expect(await codeOf(store.create("../b"))).toBe("PATH_INVALID");
  expect(await codeOf(store.sweepTemporary(0, "../b"))).toBe("PATH_INVALID");
  expect(watched.reached).toEqual([]);
  expect((await store.readAll("t/a", 5)).equals(pattern(5))).toBe(true);
});
