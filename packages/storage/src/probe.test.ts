import { XVaultError } from "@xvault/kernel";
import { expect, test } from "vitest";
import { createMemoryStore } from "./memory.ts";
import type { ObjectStore } from "./object-store.ts";
import { probeStore, type ProbeStoreOptions } from "./probe.ts";

async function statuses(store: ObjectStore, options?: ProbeStoreOptions): Promise<string[]> {
  const found: string[] = [];
  for await (const { id, status, message } of probeStore(store, options)) {
    expect(message).not.toBe("");
    found.push(`${id} ${status}`);
  }
  return found;
}

async function keysIn(store: ObjectStore): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list("")) keys.push(key);
  return keys;
}

test("finds a good store good, and leaves it as it was", async () => {
  const store = createMemoryStore();
  expect(await statuses(store, { lock: "GOVERNANCE" })).toEqual([
    "write ok",
    "read ok",
    "list ok",
    "delete ok",
    "lock skipped",
  ]);
  expect(await keysIn(store)).toEqual([]);
});

test.each<[string, (store: ObjectStore) => Partial<ObjectStore>, string[]]>([
  [
    "cannot be written",
    () => ({ create: async () => Promise.reject(new XVaultError("STORAGE_DENIED")) }),
    ["write failed", "read skipped", "list skipped", "delete skipped", "lock skipped"],
  ],
  [
    "gives back other bytes",
    (store) => ({ readAll: async (key, limit) => (await store.readAll(key, limit)).fill(1, 0, 1000) }),
    ["write ok", "read failed", "list skipped", "delete skipped", "lock skipped"],
  ],
  [
    "gives back another range",
    (store) => ({
      reader: async (key) => {
        const reader = await store.reader(key);
        return { size: reader.size, read: async (_, length) => reader.read(0, length) };
      },
    }),
    ["write ok", "read failed", "list skipped", "delete skipped", "lock skipped"],
  ],
  [
    "lists late",
    () => ({ list: async function* () {} }),
    ["write ok", "read ok", "list failed", "delete skipped", "lock skipped"],
  ],
  [
    "keeps what is deleted",
    () => ({ remove: async () => {} }),
    ["write ok", "read ok", "list ok", "delete failed", "lock skipped"],
  ],
])("names the step at which a store fails that %s", async (_, fault, wanted) => {
  const good = createMemoryStore();
  expect(await statuses({ ...good, ...fault(good) })).toEqual(wanted);
});

test("cleans up after a failure, and where nobody wants to hear the rest", async () => {
  const good = createMemoryStore();
  const denied: ObjectStore = { ...good, readAll: async () => Promise.reject(new XVaultError("STORAGE_DENIED")) };
  const checks = [];
  for await (const check of probeStore(denied)) checks.push(check);
  expect(checks[1]).toMatchObject({ id: "read", code: "STORAGE_DENIED", fix: expect.stringContaining("access key") });
  for await (const { status } of probeStore(good)) {
    expect(status).toBe("ok");
    break;
  }
  expect(await keysIn(good)).toEqual([]);
});

test("tells of a failure that is none of ours, too", async () => {
  const broken: ObjectStore = { ...createMemoryStore(), create: async () => Promise.reject(new TypeError("a defect")) };
  for await (const check of probeStore(broken)) {
    expect(check).toMatchObject({ status: "failed", code: "INTERNAL" });
    break;
  }
});
