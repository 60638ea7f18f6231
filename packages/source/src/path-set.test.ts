import { describe, expect, it } from "vitest";
import { PathSet } from "./path-set.ts";

describe("PathSet", () => {
  it("holds what was added and nothing else, through its growth", () => {
    const set = new PathSet();
    const path = (number: number) => Buffer.from(`some/path/${number}\xff`, "latin1");
    for (let number = 0; number < 50_000; number += 2) set.add(path(number));
    for (let number = 0; number < 50_000; number += 2) set.add(path(number));
    for (let number = 0; number < 50_000; number++) {
      // Asked between two additions, too.
      if (number === 25_000) for (let more = 50_000; more < 60_000; more += 2) set.add(path(more));
      if (set.has(path(number)) !== (number % 2 === 0)) throw new Error(`wrong about path ${number}`);
    }
    expect([set.has(path(50_000)), set.has(path(50_001)), set.has(path(59_998))]).toEqual([true, false, true]);
  });
});
