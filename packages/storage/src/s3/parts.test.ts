import { expect, test } from "vitest";
import { PartBuffer, partBytes, partsAtOnce } from "./parts.ts";

const MiB = 1024 * 1024;
const TiB = MiB * MiB;

test.each([5 * MiB, 8 * MiB, 64 * MiB])(
  "ten thousand parts of at least %d bytes hold 5 TiB, each as S3 takes it",
  (least) => {
    let total = 0;
    let before = 0;
    for (let number = 1; number <= 10_000; number += 1) {
      const bytes = partBytes(number, least);
      expect(bytes).toBeGreaterThanOrEqual(Math.max(least, before));
      expect(bytes).toBeLessThanOrEqual(5 * 1024 * MiB);
      if (number <= 1000) expect(bytes).toBe(least);
      total += bytes;
      before = bytes;
    }
    expect(total).toBeGreaterThanOrEqual(5 * TiB);
  },
);

test("a part has as many MiB as the comment tells at 7 GiB, 100 GiB and 1 TiB", () => {
  const sizeOfPartAt = (object: number) => {
    let number = 1;
    for (let total = 0; total < object; number += 1) total += partBytes(number, 8 * MiB);
    return Math.round(partBytes(number, 8 * MiB) / MiB);
  };
  expect([7, 100, 1024].map((gib) => sizeOfPartAt(gib * 1024 * MiB))).toEqual([8, 112, 583]);
  expect([8 * MiB, 17 * MiB].map(partsAtOnce)).toEqual([2, 1]);
});

test("a buffer takes what it has room for, gives back the rest, and can be filled anew", () => {
  for (const whole of [false, true]) {
    const buffer = new PartBuffer(100_000, whole);
    expect(buffer.take(Buffer.alloc(70_000, 1)).length).toBe(0);
    expect(buffer.full).toBe(false);
    expect(buffer.take(Buffer.alloc(40_000, 2)).length).toBe(10_000);
    expect(buffer.full).toBe(true);
    expect(buffer.bytes().equals(Buffer.concat([Buffer.alloc(70_000, 1), Buffer.alloc(30_000, 2)]))).toBe(true);
    buffer.clear();
    expect(buffer.take(Buffer.from("again")).length).toBe(0);
    expect(buffer.bytes().toString()).toBe("again");
  }
});
