import { XVaultError } from "@xvault/kernel";
import { describe, expect, test } from "vitest";
import { codeOf, pattern, put, storeConformance } from "../conformance.suite.ts";
import { createMemoryStore } from "../memory.ts";
import { faulty, type Reached } from "../test/faulty.ts";
import { retrying } from "./retrying.ts";

const broken = () => new XVaultError("STORAGE_FAILED");

storeConformance("A store that is tried again", async () => retrying(createMemoryStore()));

// What is repeated must come out as if nothing had been.
storeConformance("A store of which every second call fails", async () => {
  let calls = 0;
  const everySecond = ({ name }: Reached) => {
    if (["write", "close", "commit", "abort"].includes(name)) return null;
    calls += 1;
    return calls % 2 === 1 ? broken() : null;
  };
  return retrying(faulty(createMemoryStore(), everySecond), { delaysMs: Array.from({ length: 6 }, () => 0) });
});

describe("what failed is tried again", () => {
  const failing = (fault: (call: Reached) => XVaultError | null) => {
    const store = faulty(createMemoryStore(), fault);
    return { store, again: retrying(store, { delaysMs: [0, 0] }) };
  };

  test("as often as there are waits, and the last error is thrown", async () => {
    const told: string[] = [];
    const store = faulty(createMemoryStore(), ({ nth }) => new XVaultError("STORAGE_FAILED", `failure ${nth}`));
    const again = retrying(store, {
      delaysMs: [0, 1],
      onRetry: ({ operation, attempt, delayMs, error }) =>
        told.push(`${operation} ${attempt} ${delayMs} ${error.message}`),
    });
    await expect(again.stat("a")).rejects.toThrow("failure 2");
    expect(store.reached.length).toBe(3);
    expect(told).toEqual(["stat 1 0 failure 0", "stat 2 1 failure 1"]);
  });

  test("only where another try can help", async () => {
    const { store, again } = failing(() => new XVaultError("SPACE_REQUIRED"));
    expect(await codeOf(again.create("a"))).toBe("SPACE_REQUIRED");
    expect(store.reached.length).toBe(1);
  });

  test("never what was given to a writer", async () => {
    const { store, again } = failing(({ name }) => (name === "write" || name === "commit" ? broken() : null));
    const writer = await again.create("a");
    expect(await codeOf(Promise.resolve(writer.write(pattern(1))))).toBe("STORAGE_FAILED");
    expect(await codeOf(writer.commit())).toBe("STORAGE_FAILED");
    expect(store.reached.map(({ name }) => name)).toEqual(["create", "write", "commit"]);
  });

  test("not a list that was begun", async () => {
    const inner = createMemoryStore();
    await put(inner, "a", pattern(1));
    let starts = 0;
    const again = retrying(
      {
        ...inner,
        async *list(prefix) {
          starts += 1;
          yield* inner.list(prefix);
          throw broken();
        },
      },
      { delaysMs: [0, 0] },
    );
    const seen: string[] = [];
    const all = async () => {
      for await (const { key } of again.list("")) seen.push(key);
    };
    expect(await codeOf(all())).toBe("STORAGE_FAILED");
    expect([seen, starts]).toEqual([["a"], 1]);
  });

  test("until it is aborted, while it waits too", async () => {
    const stop = new AbortController();
    const store = faulty(createMemoryStore(), broken);
    const again = retrying(store, {
      delaysMs: [2 ** 30, 0],
      signal: stop.signal,
      onRetry: () => setImmediate(() => stop.abort()),
    });
    expect(await codeOf(again.stat("a"))).toBe("STORAGE_FAILED");
    expect(await codeOf(again.stat("a"))).toBe("STORAGE_FAILED");
    expect(store.reached.length).toBe(2);
  });
});
