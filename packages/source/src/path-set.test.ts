import { describe, expect, it } from "vitest";
import { PathSet } from "./path-set.ts";

describe("PathSet", () => {
  it("holds what was added and nothing else, through its growth", () => {
    const set = new PathSet();
    const path = (number: number) => Buffer.from(`some/path/${number}\xff`, "latin1");
    for (let number = 0; number < 50_000; number += 2) set.add(path(number));
    for (let number = 0; number < 50_000; number += 2) set.add(path(number));
    expect(set.size).toBe(25_000);
    for (let number = 0; number < 50_000; number++) {
      if (set.has(path(number)) !== (number % 2 === 0)) throw new Error(`wrong about path ${number}`);
    }
  });
});
