import { createHash } from "node:crypto";
import type { ByteReader } from "@xvault/kernel";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { codeOf, memoryReader, memorySink, noise, pieces } from "../../test/support.ts";
import { hashBlocks } from "./hash-blocks.ts";
import { merkleRoot } from "./merkle.ts";
import { verifiedReader } from "./verified.ts";

const sha = (...parts: Buffer[]) => createHash("sha256").update(Buffer.concat(parts)).digest();

/** RFC 6962, 2.1, as it is written there: split at the largest power of two below n. */
function rfcRoot(leaves: Buffer[]): Buffer {
  const [only] = leaves;
  if (only === undefined) return sha();
  if (leaves.length === 1) return sha(Buffer.from([0]), only);
  let k = 1;
  while (k * 2 < leaves.length) k *= 2;
  return sha(Buffer.from([1]), rfcRoot(leaves.slice(0, k)), rfcRoot(leaves.slice(k)));
}

test("the root is that of RFC 6962 for every number of leaves", () => {
  for (let n = 0; n <= 70; n += 1) {
    const leaves = Array.from({ length: n }, (_, i) => sha(Buffer.from([i])));
    expect(merkleRoot(Buffer.concat(leaves))).toBe(rfcRoot(leaves).toString("hex"));
  }
});

async function hashed(bytes: Buffer, blockBytes: number, step: number) {
  const next = memorySink();
  const leaves = memorySink();
  const hasher = hashBlocks(next, leaves, blockBytes);
  for await (const piece of pieces(bytes, step)) await hasher.write(piece);
  await hasher.close();
  expect(next.closed && leaves.closed).toBe(true);
  expect(next.bytes()).toEqual(bytes);
  return { leaves: leaves.bytes(), ...hasher.result() };
}

test("what was hashed reads back verified, in any range", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.nat(9000),
      fc.integer({ min: 1, max: 700 }),
      fc.integer({ min: 20, max: 999 }),
      fc.nat(),
      fc.nat(),
      async (length, step, blockBytes, a, b) => {
        const bytes = noise(length);
        const made = await hashed(bytes, blockBytes, step);
        expect(made).toMatchObject({
          sizeBytes: length,
          sha256: sha(bytes).toString("hex"),
          blockCount: Math.ceil(length / blockBytes),
        });
        const reader = verifiedReader(memoryReader(bytes), made.leaves, {
          root: made.root,
          sizeBytes: length,
          blockBytes,
        });
        const [from, to] = [a % (length + 1), b % (length + 1)].sort((x, y) => x - y) as [number, number];
        expect(await reader.read(from, to - from)).toEqual(bytes.subarray(from, to));
      },
    ),
    { numRuns: 80 },
  );
});

describe("tampering", () => {
  const bytes = noise(10_500);
  const blockBytes = 1000;
  const open = async (stored: ByteReader, change: { leaves?: Buffer } = {}) => {
    const made = await hashed(bytes, blockBytes, 512);
    return verifiedReader(stored, change.leaves ?? made.leaves, {
      root: made.root,
      sizeBytes: bytes.length,
      blockBytes,
    });
  };

  test("a flipped byte is found before any byte of its block comes out; its neighbours still read", async () => {
    for (const at of [0, 999, 4321, 10_499]) {
      const stored = Buffer.from(bytes);
      stored[at] = (stored[at] ?? 0) ^ 1;
      const reader = await open(memoryReader(stored));
      const block = Math.floor(at / blockBytes);
      await expect(reader.read(block * blockBytes, 1)).rejects.toMatchObject({
        code: "ARTIFACT_CORRUPT",
        data: { block },
      });
      await expect(reader.read(0, bytes.length)).rejects.toMatchObject({ code: "ARTIFACT_CORRUPT" });
      const other = block === 0 ? 1 : 0;
      expect(await reader.read(other * blockBytes, 10)).toEqual(
        bytes.subarray(other * blockBytes, other * blockBytes + 10),
      );
    }
  });

  test("cut, lengthened and spliced objects and forged leaves are refused", async () => {
    expect(await codeOf(open(memoryReader(bytes)))).toBe("none");
    expect(await codeOf(open(memoryReader(bytes.subarray(0, -1))))).toBe("ARCHIVE_TRUNCATED");
    expect(await codeOf(open(memoryReader(Buffer.concat([bytes, Buffer.from([0])]))))).toBe("ARTIFACT_CORRUPT");
    const swapped = Buffer.concat([bytes.subarray(1000, 2000), bytes.subarray(0, 1000), bytes.subarray(2000)]);
    expect(await codeOf((await open(memoryReader(swapped))).read(0, 10))).toBe("ARTIFACT_CORRUPT");
    const forged = await hashed(swapped, blockBytes, 512);
    expect(await codeOf(open(memoryReader(swapped), { leaves: forged.leaves }))).toBe("ARTIFACT_CORRUPT");
    expect(await codeOf(open(memoryReader(bytes), { leaves: forged.leaves.subarray(32) }))).toBe("ARTIFACT_CORRUPT");
  });

  test("damage that happens once is read again and not called corruption", async () => {
    let reads = 0;
    const once: ByteReader = {
      size: bytes.length,
      async read(offset, length) {
        const piece = Buffer.from(bytes.subarray(offset, offset + length));
        reads += 1;
        if (reads === 1) piece[0] = (piece[0] ?? 0) ^ 0xff;
        return piece;
      },
    };
    const reader = await open(once);
    expect(await reader.read(2000, 2500)).toEqual(bytes.subarray(2000, 4500));
    expect(reads).toBe(2);
  });

  test("neighbouring blocks are read together and once", async () => {
    const stored = memoryReader(bytes);
    const reader = await open(stored);
    await reader.read(500, 3000);
    await reader.read(600, 2000);
    expect(stored.reads).toEqual([{ offset: 0, length: 4000 }]);
  });
});
