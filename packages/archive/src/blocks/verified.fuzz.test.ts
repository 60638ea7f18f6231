import { boundedReader, fuzz, mutated, orRefused } from "@xvault/test-kit/fuzz";
import fc from "fast-check";
import { expect, test } from "vitest";
import { memorySink, noise } from "../../test/support.ts";
import { hashBlocks } from "./hash-blocks.ts";
import { verifiedReader } from "./verified.ts";

const REFUSALS = ["ARTIFACT_CORRUPT", "ARCHIVE_TRUNCATED"] as const;
const BLOCK = 1000;

const DATA = [noise(9500), noise(8000, 2), noise(1), Buffer.alloc(0), noise(999, 3)];
const SIGNED = await Promise.all(
  DATA.map(async (bytes) => {
    const leaves = memorySink();
    const hasher = hashBlocks(memorySink(), leaves, BLOCK);
    await hasher.write(bytes);
    await hasher.close();
    const { root, sizeBytes } = hasher.result();
    return { bytes, leaves: leaves.bytes(), expected: { root, sizeBytes, blockBytes: BLOCK } };
  }),
);

const range = fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true }));

test("whatever becomes of the bytes or of their hashes, what is given out is what was signed", async () => {
  const seen = { given: 0, refused: 0 };
  const damaged = fc.constantFrom(...SIGNED).chain((signed) =>
    fc.record({
      signed: fc.constant(signed),
      bytes: fc.oneof(fc.constant(signed.bytes), mutated([signed.bytes], 2)),
      leaves: fc.oneof(
        { weight: 3, arbitrary: fc.constant(signed.leaves) },
        { weight: 1, arbitrary: mutated([signed.leaves], 2) },
      ),
      ranges: fc.array(range, { minLength: 1, maxLength: 5 }),
    }),
  );
  await fuzz(
    damaged,
    async ({ signed, bytes, leaves, ranges }) => {
      const reader = await orRefused(REFUSALS, () =>
        verifiedReader(boundedReader(bytes, 200), leaves, signed.expected),
      );
      for (const [a, b] of reader ? ranges : []) {
        const from = Math.floor(Math.min(a, b) * signed.bytes.length);
        const to = Math.ceil(Math.max(a, b) * signed.bytes.length);
        const read = await orRefused(REFUSALS, () => (reader as NonNullable<typeof reader>).read(from, to - from));
        if (read) expect(read.equals(signed.bytes.subarray(from, to))).toBe(true);
        seen[read ? "given" : "refused"] += 1;
      }
      if (!leaves.equals(signed.leaves)) expect(reader).toBe(null);
    },
    1500,
  );
  expect(Math.min(seen.given, seen.refused)).toBeGreaterThan(50);
});

test("what a manifest claims of sizes is refused before anything is read or allocated", async () => {
  const odd = fc.oneof(
    fc.integer({ min: -5, max: 12_000 }),
    fc.constantFrom(-1, 0, 2 ** 31, 2 ** 53 - 1, -(2 ** 53 - 1)),
  );
  await fuzz(
    fc.tuple(fc.constantFrom(...SIGNED), odd, odd, fc.boolean()),
    async ([signed, sizeBytes, blockBytes, either]) => {
      const expected = either ? { ...signed.expected, sizeBytes } : { ...signed.expected, blockBytes };
      const stored = boundedReader(signed.bytes, 200);
      const reader = await orRefused(REFUSALS, () => verifiedReader(stored, signed.leaves, expected));
      if (!reader) return;
      const read = await orRefused(REFUSALS, () => reader.read(0, signed.bytes.length));
      if (read) expect(read.equals(signed.bytes)).toBe(true);
      expect(stored.largest).toBeLessThanOrEqual(signed.bytes.length);
    },
    1000,
  );
});

test("a block of a terabyte is not read to be checked", async () => {
  const reader = { size: 2 ** 40, read: () => Promise.reject(new Error("nothing should be read")) };
  const { root } = SIGNED[2]?.expected ?? { root: "" };
  const claim = { root, sizeBytes: 2 ** 40, blockBytes: 2 ** 40 };
  expect(await orRefused(REFUSALS, () => verifiedReader(reader, SIGNED[2]?.leaves ?? Buffer.alloc(0), claim))).toBe(
    null,
  );
});
