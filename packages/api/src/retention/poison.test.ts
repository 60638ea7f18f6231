import { describe, expect, it } from "vitest";
import { findSuspicions, type SnapshotFacts } from "./poison.ts";

const usual: Omit<SnapshotFacts, "id" | "sequence"> = {
  good: true,
  accepted: false,
  files: 1000,
  plainBytes: 500_000_000,
  churn: 0.02,
  ratio: 0.4,
  packedBytes: 10_000_000,
  canaries: { "/srv/canary.txt": "aa" },
};

/** As many calm snapshots as there are, then those that are given. */
function found(calm: number, ...changes: Partial<SnapshotFacts>[]) {
  const all = [...Array.from({ length: calm }, () => ({})), ...changes];
  return findSuspicions(
    all.map((change, index) => ({ ...usual, id: `s${index + 1}`, sequence: index + 1, ...change })),
  ).map(({ sequence, kind }) => `${sequence} ${kind}`);
}

describe("what looks wrong beside the snapshots before it", () => {
  it.each<[string, Partial<SnapshotFacts>]>([
    ["size", { plainBytes: 200_000_000 }],
    ["size", { plainBytes: 1_600_000_000 }],
    ["files", { files: 400 }],
    ["files", { files: 4000 }],
    ["churn", { churn: 0.9 }],
    ["compressibility", { ratio: 0.999 }],
    ["canary", { canaries: { "/srv/canary.txt": "bb" } }],
    ["canary", { canaries: { "/srv/canary.txt": null } }],
  ])("%s", (kind, change) => {
    expect(found(4, change)).toEqual([`5 ${kind}`]);
  });

  it("is nothing where it varies as sources do", () => {
    expect(found(4, { files: 1300, plainBytes: 700_000_000, churn: 0.3, ratio: 0.6 })).toEqual([]);
    expect(found(4, { churn: null, ratio: null, canaries: null })).toEqual([]);
    // Nor is a canary that the source names no more.
    expect(found(4, { canaries: { "/srv/another.txt": "cc" } })).toEqual([]);
  });

  it("is nothing where there is little, or nothing to compare with", () => {
    const small = { files: 3, plainBytes: 900, churn: 0, packedBytes: 900 };
    expect(
      found(0, small, small, small, small, { files: 12, plainBytes: 9000, churn: 1, packedBytes: 9000, ratio: 1 }),
    ).toEqual([]);
    expect(found(2, { plainBytes: 1, files: 1 })).toEqual([]);
    // Media files never compress: that is how they are.
    const media = { ratio: 0.99 };
    expect(found(0, media, media, media, media, { ratio: 1 })).toEqual([]);
  });

  it("is found in partial snapshots by nobody: they are no measure and are not kept for the last", () => {
    expect(found(4, { good: false, files: 10 })).toEqual([]);
  });
});

describe("what was found", () => {
  const encrypted = { churn: 0.95, ratio: 0.999, plainBytes: 501_000_000 };

  it("stays until somebody says that it is right, also when what follows is alike or calm again", () => {
    expect(found(4, encrypted, { ...encrypted, churn: 0.01 }, {})).toEqual([
      "5 churn",
      "5 compressibility",
      "6 compressibility",
    ]);
  });

  it("is the new measure once it was accepted", () => {
    const halved = { plainBytes: 200_000_000 };
    expect(found(4, halved, halved)).toEqual(["5 size", "6 size"]);
    expect(found(4, { ...halved, accepted: true }, halved, halved, halved)).toEqual([]);
    // And measured by it, the old size is what looks wrong.
    expect(found(4, { ...halved, accepted: true }, halved, halved, {})).toEqual([]);
    expect(found(4, { ...halved, accepted: true }, halved, halved, { plainBytes: 700_000_000 })).toEqual(["8 size"]);
  });
});
