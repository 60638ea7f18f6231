import { readThrough } from "@xvault/kernel";
import { boundedReader, fuzz, largestAllocation, mutated, orRefused } from "@xvault/test-kit/fuzz";
import fc from "fast-check";
import { expect, test } from "vitest";
import { memorySink, noise, pieces } from "../../test/support.ts";
import { compressFrames } from "./compress.ts";
import { openFrames } from "./open.ts";
import { encodeSeekTable } from "./seek-table.ts";
import { MAX_FRAME_BYTES } from "./zstd.ts";

const REFUSALS = [
  "ARCHIVE_MALFORMED",
  "ARCHIVE_TRUNCATED",
  "ARTIFACT_CORRUPT",
  "EXPANSION_LIMIT",
  "WINDOW_TOO_LARGE",
] as const;

async function packed(plain: Buffer, frameBytes: number): Promise<Buffer> {
  const sink = memorySink();
  const frames = compressFrames(sink, { frameBytes });
  for await (const piece of pieces(plain, 1000)) await frames.write(piece);
  await frames.close();
  return sink.bytes();
}

const VALID = [
  await packed(Buffer.from("compressible ".repeat(500)), 700),
  await packed(noise(3000), 1024),
  await packed(Buffer.alloc(200_000), 65_536),
  await packed(noise(150_000), 140_000),
  await packed(Buffer.alloc(0), 10),
];

/** Whole files whose seek table says something else than what stands in front of it. */
const lyingTables = fc
  .tuple(
    fc.constantFrom(...VALID.slice(0, 3)),
    fc.array(
      fc.record({
        compressed: fc.oneof(fc.nat(400), fc.constantFrom(0xffff_ffff, 0x8000_0000, 0)),
        plain: fc.oneof(fc.nat(2000), fc.constantFrom(0, MAX_FRAME_BYTES, MAX_FRAME_BYTES + 1, 0xffff_ffff)),
      }),
      { maxLength: 8 },
    ),
    fc.boolean(),
  )
  .map(([bytes, frames, fits]) => {
    const data = bytes.subarray(0, fits ? frames.reduce((sum, { compressed }) => sum + compressed, 0) : 1000);
    return Buffer.concat([data, encodeSeekTable(frames)]);
  });

const cases = fc.oneof({ weight: 3, arbitrary: mutated(VALID) }, { weight: 1, arbitrary: lyingTables });

/** Reads all, then a range in the middle: it must be the same bytes. Gives how many there are. */
async function readWhole(bytes: Buffer): Promise<number> {
  const stored = boundedReader(bytes, 2000);
  const reader = await openFrames(stored);
  // The footer's number of frames bounds what they may hold together.
  expect(reader.size).toBeLessThanOrEqual(bytes.readUInt32LE(bytes.length - 9) * MAX_FRAME_BYTES);
  const parts: Buffer[] = [];
  // A table may claim up to 16 MiB for each frame: what is behind 48 MiB is refused or not by the same rules.
  for await (const part of readThrough(reader, 0, Math.min(reader.size, 48 * 1024 * 1024), 64 * 1024)) parts.push(part);
  const all = Buffer.concat(parts);
  const from = Math.floor(all.length / 3);
  expect((await reader.read(from, Math.min(5000, all.length - from))).equals(all.subarray(from, from + 5000))).toBe(
    true,
  );
  await expect(reader.read(reader.size, 1)).rejects.toThrow(expect.objectContaining({ code: "ARCHIVE_TRUNCATED" }));
  expect(stored.largest).toBeLessThanOrEqual(bytes.length);
  return all.length;
}

test("control: what is fuzzed is valid before", async () => {
  expect(await Promise.all(VALID.map(readWhole))).toEqual([6500, 3000, 200_000, 150_000, 0]);
});

test("a changed file of frames reads consistently, or is refused", async () => {
  const seen = { whole: 0, refused: 0 };
  await fuzz(
    cases,
    async (bytes) => {
      const length = await orRefused(REFUSALS, () => readWhole(bytes));
      seen[length === null ? "refused" : "whole"] += 1;
    },
    1000,
  );
  expect(Math.min(seen.whole, seen.refused)).toBeGreaterThan(20);
});

test("a frame or a table takes no more memory than its limit, whatever it claims", async () => {
  await fuzz(
    cases,
    async (bytes) => {
      const largest = await largestAllocation(() => orRefused(REFUSALS, () => readWhole(bytes)));
      expect(largest).toBeLessThanOrEqual(MAX_FRAME_BYTES + 65_536);
    },
    100,
  );
});
