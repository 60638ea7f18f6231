import { expect, test } from "vitest";
import { codeOf, pattern, put, storeConformance } from "./conformance.suite.ts";
import { createMemoryStore } from "./memory.ts";

storeConformance("The store in memory", async () => createMemoryStore());

test("a full store says so and counts what was freed", async () => {
  const store = createMemoryStore({ capacityBytes: 100 });
  await put(store, "first", pattern(60));
  const writer = await store.create("second");
  await writer.write(pattern(40));
  expect(await codeOf(Promise.resolve(writer.write(pattern(1))))).toBe("SPACE_REQUIRED");
  await writer.abort();
  expect(await store.freeBytes()).toBe(40);
  await store.remove("first");
  expect(await store.freeBytes()).toBe(100);
});
