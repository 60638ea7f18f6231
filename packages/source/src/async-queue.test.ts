import { describe, expect, it } from "vitest";
import { AsyncQueue, Budget } from "./async-queue.ts";

describe("AsyncQueue", () => {
  it("hands on in order, and holds producers back at its limit", async () => {
    const queue = new AsyncQueue<{ n: number }>(2);
    let most = 0;
    const producing = (async () => {
      for (let n = 0; n < 5000; n++) {
        await queue.push({ n });
        most = Math.max(most, queue.length);
      }
      queue.end();
    })();
    const seen = [];
    for await (const { n } of queue) seen.push(n);
    await producing;
    expect(seen).toEqual(Array.from({ length: 5000 }, (_, n) => n));
    expect(most).toBeLessThanOrEqual(2);
  });

  it("fails at once, without what is still queued", async () => {
    const queue = new AsyncQueue<object>();
    void queue.push({});
    queue.fail(new Error("broken"));
    await expect(queue.shift()).rejects.toThrow("broken");
  });

  it("lets its producers go when the consumer leaves", async () => {
    const queue = new AsyncQueue<object>(1);
    const first = queue.push({});
    for await (const _ of queue) break;
    await first;
    expect(queue.push({})).toBe(undefined);
    expect(await queue.shift()).toBe(undefined);
  });
});

describe("Budget", () => {
  it("grants as much as is free, in order, and never more than there is", async () => {
    const budget = new Budget(10);
    expect(budget.take(6)).toBe(undefined);
    let granted = false;
    const waiting = budget.take(6)?.then(() => {
      granted = true;
    });
    budget.give(1);
    await Promise.resolve();
    expect(granted).toBe(false);
    budget.give(1);
    await waiting;
    expect(granted).toBe(true);
    budget.give(6);
    budget.give(4);
    expect(budget.take(1_000)).toBe(undefined);
  });
});
