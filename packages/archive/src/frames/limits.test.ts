import { expect, test } from "vitest";
import { BLOCK_BYTES, MAX_LEAVES_BYTES } from "../blocks/hash-blocks.ts";
import { HASH_BYTES } from "../blocks/merkle.ts";
import { DEFAULT_FRAME_BYTES } from "./compress.ts";
import { checkFrameCount, decodeSeekTable, encodeSeekTable, MAX_FRAMES, seekTableLength } from "./seek-table.ts";

test("what is written can be read: a backup that grows beyond a reader's limits fails while it runs, not when it is restored", () => {
  expect(() => checkFrameCount(MAX_FRAMES)).not.toThrow();
  expect(() => checkFrameCount(MAX_FRAMES + 1)).toThrow(expect.objectContaining({ code: "EXPANSION_LIMIT" }));
  // The largest artifact, of frames that did not compress, has no more blocks than a reader takes.
  const largestFrame = DEFAULT_FRAME_BYTES + (DEFAULT_FRAME_BYTES >> 6) + 1024;
  const blocks = Math.ceil((MAX_FRAMES * largestFrame * 1.001) / BLOCK_BYTES);
  expect(blocks * HASH_BYTES).toBeLessThan(MAX_LEAVES_BYTES);
});

test("the seek table of the largest number of frames is read again", () => {
  const frame = { compressed: 100, plain: DEFAULT_FRAME_BYTES };
  const table = encodeSeekTable(Array.from({ length: MAX_FRAMES }, () => frame));
  expect(seekTableLength(table.subarray(-1000), table.length + 100 * MAX_FRAMES)).toBe(table.length);
  expect(decodeSeekTable(table, 100 * MAX_FRAMES).plain.at(-1)).toBe(MAX_FRAMES * DEFAULT_FRAME_BYTES);
});
