import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { blocksToSample, sampleClaim, sampleConfidence, sharedBlocks, shareToSample } from "./sampling.ts";

/** The probability, as a fraction of whole numbers, that a sample misses every lost block. */
function missed(blocks: number, sampled: number, lost: number): number {
  const choose = (n: number, k: number) => {
    let value = 1n;
    for (let i = 0; i < k; i += 1) value = (value * BigInt(n - i)) / BigInt(i + 1);
    return n < k ? 0n : value;
  };
  const scale = 10n ** 15n;
  return Number((choose(blocks - lost, sampled) * scale) / choose(blocks, sampled)) / 1e15;
}
const lostOf = (blocks: number, share: number) => Math.max(1, Math.ceil(blocks * share - 1e-9));

const share = fc.double({ min: 0.001, max: 0.5, noNaN: true });
const sure = fc.double({ min: 0.5, max: 0.9999, noNaN: true });

describe("a sample of one object", () => {
  test("is as sure as counting says", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 300 }), fc.nat(300), share, (blocks, some, lostBelow) => {
        const sampled = Math.min(blocks, some);
        const counted = 1 - missed(blocks, sampled, lostOf(blocks, lostBelow));
        expect(sampleConfidence(blocks, sampled, lostBelow)).toBeCloseTo(counted, 9);
      }),
    );
  });

  test("is no larger than it must be, and large enough", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5000 }), sure, share, (blocks, confidence, lostBelow) => {
        const sampled = blocksToSample(blocks, { confidence, lostBelow });
        expect(sampleConfidence(blocks, sampled, lostBelow)).toBeGreaterThanOrEqual(confidence);
        if (sampled > 0) expect(sampleConfidence(blocks, sampled - 1, lostBelow)).toBeLessThan(confidence);
      }),
    );
  });

  test("of few blocks is all of them, of very many the number of the endless case", () => {
    const goal = { confidence: 0.999, lostBelow: 0.001 };
    expect([0, 1, 10, 500].map((blocks) => blocksToSample(blocks, goal))).toEqual([0, 1, 10, 500]);
    // 1 − (1 − 0.001)^k ≥ 0.999
    const endless = Math.ceil(Math.log(0.001) / Math.log(0.999));
    expect(blocksToSample(32 * 1024 * 1024, goal)).toBeLessThanOrEqual(endless);
    expect(blocksToSample(32 * 1024 * 1024, goal)).toBeGreaterThan(endless - 10);
    expect(sampleConfidence(7, 7, 0.001)).toBe(1);
  });
});

test("a share of each of many objects is sure enough wherever the lost blocks lie", () => {
  const object = fc.record({ blocks: fc.integer({ min: 1, max: 60 }), weight: fc.nat(20) });
  fc.assert(
    fc.property(fc.array(object, { minLength: 1, maxLength: 12 }), sure, share, (objects, confidence, lostBelow) => {
      const all = objects.reduce((sum, { blocks }) => sum + blocks, 0);
      const part = shareToSample(all, { confidence, lostBelow });
      // Spread as the weights say, the rest wherever there is room.
      let left = lostOf(all, lostBelow);
      const lost = objects.map(({ blocks, weight }) => {
        const here = Math.min(blocks, weight, left);
        left -= here;
        return here;
      });
      for (const [i, { blocks }] of objects.entries()) {
        const more = Math.min(blocks - (lost[i] ?? 0), left);
        lost[i] = (lost[i] ?? 0) + more;
        left -= more;
      }
      const unnoticed = objects.reduce(
        (product, { blocks }, i) => product * missed(blocks, sharedBlocks(blocks, part), lost[i] ?? 0),
        1,
      );
      expect(unnoticed).toBeLessThanOrEqual(1 - confidence + 1e-9);
    }),
  );
});

test("a share of an object is at least one of its blocks and never more than all", () => {
  expect([
    sharedBlocks(0, 1),
    sharedBlocks(5, 0),
    sharedBlocks(5, 0.2),
    sharedBlocks(5, 0.21),
    sharedBlocks(5, 1),
  ]).toEqual([0, 1, 1, 2, 5]);
});

test("the claim never says more than was found", () => {
  expect(sampleClaim(0.999, 0.001)).toBe("99.9 % sure that less than 0.1 % is lost");
  expect(sampleClaim(0.99999999, 0.0010001)).toBe("99.999 % sure that less than 0.101 % is lost");
  expect(sampleClaim(1, 0.001)).toBe("certain that less than 0.1 % is lost");
  expect(sampleClaim(1, 0)).toBe("certain that nothing is lost");
});
