import { XVaultError } from "@xvault/kernel";
import { expect, test } from "vitest";
import { codeOf, pattern, put, storeConformance } from "../conformance.suite.ts";
import { createMemoryStore } from "../memory.ts";
import { faulty } from "../test/faulty.ts";
import { logged, type StoreCall } from "./logged.ts";

storeConformance("A store that is watched", async () => logged(createMemoryStore(), { onCall: () => {} }));

test("every call is told once, with its bytes, its time and its error", async () => {
  const calls: string[] = [];
  let ms = 0;
  const onCall = (call: StoreCall) =>
    calls.push([call.name, call.key, call.bytes, call.ms, call.code].join(" ").replaceAll("  ", " - "));
  const broken = ({ name, nth }: { name: string; nth: number }) =>
    name === "remove" || (name === "write" && nth > 10) ? new XVaultError("STORAGE_FAILED") : null;
  const store = logged(faulty(createMemoryStore(), broken), { onCall, now: () => (ms += 5) });

  await put(store, "d/a", pattern(3), pattern(4));
  await store.readAll("d/a", 10);
  await (await store.reader("d/a")).read(1, 2);
  await store.stat("d/a");
  expect(await codeOf(store.reader("none"))).toBe("ARTIFACT_MISSING");
  expect(await codeOf(store.remove("d/a"))).toBe("STORAGE_FAILED");
  for await (const { key } of store.list("d")) expect(key).toBe("d/a");
  for await (const name of store.folders("")) {
    expect(name).toBe("d");
    break;
  }
  const writer = await store.create("b");
  expect(await codeOf(Promise.resolve(writer.write(pattern(1))))).toBe("STORAGE_FAILED");
  await writer.abort();
  await store.freeBytes();
  expect(await store.sweepTemporary(0)).toBe(0);

  expect(calls).toEqual([
    "create d/a 0 5 ",
    "commit d/a 7 5 ",
    "readAll d/a 7 5 ",
    "reader d/a 0 5 ",
    "read d/a 2 5 ",
    "stat d/a 0 5 ",
    "reader none 0 5 ARTIFACT_MISSING",
    "remove d/a 0 5 STORAGE_FAILED",
    "list d 0 5 ",
    "folders - 0 5 ",
    "create b 0 5 ",
    "write b 0 5 STORAGE_FAILED",
    "abort b 0 5 ",
    "freeBytes - 0 5 ",
    "sweepTemporary - 0 5 ",
  ]);
});
