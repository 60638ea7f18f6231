import { createHmac, hkdfSync, randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { createMarks } from "./marks.ts";

test("a path's mark is the beginning of the HMAC-SHA256 that node:crypto makes of it, however long it is", () => {
  const key = randomBytes(32);
  const marks = createMarks(key);
  const pathKey = Buffer.from(hkdfSync("sha256", key, "", "xvault plan path", 32));
  for (const length of [0, 1, 63, 64, 65, 1023, 1024, 1025, 4096, 70_000, 3]) {
    const path = randomBytes(length);
    const expected = createHmac("sha256", pathKey).update(path).digest().subarray(0, 12);
    expect(Buffer.from(marks.path(path))).toEqual(expected);
  }
});

test("a stamp tells apart whatever the listing tells, and what it does not tell", () => {
  const { stamp } = createMarks(randomBytes(32));
  const stats = [
    { size: 1, mtimeNs: 5n },
    { size: 2, mtimeNs: 5n },
    { size: 1, mtimeNs: -5n },
    { size: 1, mtimeNs: 5n, ctimeNs: 0n },
    { size: 1, mtimeNs: 5n, inode: 0n },
    { size: 1, mtimeNs: 5n, ctimeNs: 0n, inode: 2n ** 64n - 1n },
  ];
  const stamps = stats.map((stat) => stamp(stat).toString("hex"));
  expect(new Set(stamps).size).toBe(stats.length);
  expect(stats.map((stat) => stamp(stat).toString("hex"))).toEqual(stamps);
});
