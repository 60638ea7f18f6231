import type { IndexEntry } from "@xvault/archive";
import fc from "fast-check";
import { expect, test } from "vitest";
import { drawSome } from "../verify/draw.ts";
import { pickFiles } from "./pick.ts";

function file(n: number, more: Partial<IndexEntry> = {}): IndexEntry {
  const place = { offset: n * 1000, body_offset: n * 1000 + 512, body_bytes: 100 };
  return { path: `f${n}`, type: "file", size: 100, mode: "0644", uid: 0, gid: 0, mtime: "1000", ...place, ...more };
}
async function* stream(entries: IndexEntry[]) {
  yield* entries;
}
/** Numbers below what is asked, the same for the same seed. */
function dice(seed: number) {
  let state = seed;
  return (below: number) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return Math.floor((state / 4_294_967_296) * below);
  };
}

test("the largest and the newest file are always among those picked, and nothing that is not a file", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 60 }),
      fc.nat(10),
      fc.nat(),
      fc.nat(),
      fc.nat(),
      async (n, some, a, b, seed) => {
        const entries = Array.from({ length: n }, (_, i) => file(i));
        entries[a % n] = { ...(entries[a % n] as IndexEntry), size: 5000 };
        entries[b % n] = { ...(entries[b % n] as IndexEntry), mtime: "2000.5" };
        const all = [file(997, { type: "dir", size: 9999 }), ...entries, file(998, { type: "symlink", mtime: "9999" })];
        const { files, of } = await pickFiles(stream(all), some, dice(seed));
        const names = files.map(({ path }) => path);
        expect(of).toBe(n);
        expect(names).toContain(`f${a % n}`);
        expect(names).toContain(`f${b % n}`);
        expect(new Set(names).size).toBe(names.length);
        expect(names.length).toBeGreaterThanOrEqual(Math.min(n, some));
        expect(names.length).toBeLessThanOrEqual(Math.min(n, some + 2));
        expect(files.every(({ type }) => type === "file")).toBe(true);
      },
    ),
  );
});

test("every file is picked as often as any other", async () => {
  const entries = Array.from({ length: 20 }, (_, i) => file(i));
  const times = new Map<string, number>();
  for (let turn = 0; turn < 4000; turn += 1) {
    const { files } = await pickFiles(stream(entries), 5, dice(turn * 7919 + 1));
    for (const { path = "" } of files) times.set(path, (times.get(path) ?? 0) + 1);
  }
  // The first is the largest and the newest of equals; the others stand for the draw: 1000 times each, give or take.
  for (let i = 1; i < 20; i += 1) expect(Math.abs((times.get(`f${i}`) ?? 0) - 1000)).toBeLessThan(150);
});

test("files are read artifact by artifact, and forward in each", async () => {
  const entries = [
    file(9),
    file(3, { snapshot: "b" }),
    file(1),
    file(2, { snapshot: "a" }),
    file(1, { snapshot: "b" }),
  ];
  const { files } = await pickFiles(stream(entries), 9, dice(1));
  expect(files.map(({ snapshot = "", offset }) => `${snapshot}${offset}`)).toEqual([
    "1000",
    "9000",
    "a2000",
    "b1000",
    "b3000",
  ]);
});

test("numbers that are drawn are different, in order, and each is as likely as any other", () => {
  fc.assert(
    fc.property(fc.nat(200), fc.nat(200), fc.nat(), (all, some, seed) => {
      const drawn = drawSome(all, Math.min(all, some), dice(seed));
      expect(drawn).toHaveLength(Math.min(all, some));
      expect(new Set(drawn).size).toBe(drawn.length);
      expect(drawn.every((one) => one >= 0 && one < all)).toBe(true);
      expect(drawn).toEqual(drawn.toSorted((a, b) => a - b));
    }),
  );
  const times = Array.from({ length: 10 }, () => 0);
  const roll = dice(5);
  for (let turn = 0; turn < 10_000; turn += 1)
    for (const one of drawSome(10, 3, roll)) times[one] = (times[one] ?? 0) + 1;
  for (const count of times) expect(Math.abs(count - 3000)).toBeLessThan(300);
});
