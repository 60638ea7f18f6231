import { expect, it } from "vitest";
import { giveBack, keepForGood, lend } from "./lent-memory.ts";

it("frees what was lent once it is given back, and every view of it", () => {
  const bytes = lend(Buffer.alloc(100_000, 1));
  const part = bytes.subarray(10, 20);
  giveBack(part);
  expect([bytes.length, part.length]).toEqual([0, 0]);
  giveBack(part);
});

it("leaves alone what was not lent, what is kept, and what is so small that it shares its memory", () => {
  const given = Buffer.alloc(100_000, 1);
  const kept = lend(Buffer.alloc(100_000, 1));
  keepForGood(kept);
  const small = lend(Buffer.from("small"));
  for (const bytes of [given, kept, small]) giveBack(bytes);
  expect([given.length, kept.length, small.toString()]).toEqual([100_000, 100_000, "small"]);
});
