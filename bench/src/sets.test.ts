import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { zstdCompressSync } from "node:zlib";
import { afterEach, expect, it } from "vitest";
import { type DataSet, makeSet, SET_NAMES } from "./sets.ts";

const made: string[] = [];
afterEach(() => made.splice(0).forEach((dir) => rmSync(dir, { recursive: true })));

function make(name: (typeof SET_NAMES)[number], seed: string, scale = 0.004): Promise<DataSet> {
  const dir = mkdtempSync(join(tmpdir(), "xvault-sets-"));
  made.push(dir);
  return makeSet(name, dir, seed, scale);
}

/** Path → hash of content. */
function facts(set: DataSet): Map<string, string> {
  const files = readdirSync(set.root, { withFileTypes: true, recursive: true }).filter((entry) => entry.isFile());
  const paths = files.map((entry) => join(entry.parentPath, entry.name)).toSorted();
  return new Map(
    paths.map((path) => [path.slice(set.root.length), createHash("sha256").update(readFileSync(path)).digest("hex")]),
  );
}

it.each(SET_NAMES)("%s is the same for the same seed, and another for another", async (name) => {
  const set = await make(name, "a");
  const [one, two, other] = [facts(set), facts(await make(name, "a")), facts(await make(name, "b"))];
  expect(one).toEqual(two);
  expect(other).not.toEqual(one);
  expect(one.size).toBe(set.files);
  expect(new Set(one.values()).size).toBe(set.files);
  expect(set.oneFile.startsWith(`${set.root}/`)).toBe(true);
  expect(readFileSync(set.oneFile).length).toBeLessThan(64 * 1024);
});

it.each(SET_NAMES)("%s changes one file in a hundred, the same ones for the same seed", async (name) => {
  const changed = async () => {
    const set = await make(name, "a");
    const before = facts(set);
    set.change();
    const after = facts(set);
    return [...after].filter(([path, hash]) => before.get(path) !== hash);
  };
  const once = await changed();
  expect(once.length).toBe(Math.ceil((name === "small" ? 80 : name === "large" ? 5 : 224) / 100));
  expect(await changed()).toEqual(once);
});

it("the large set changes one of its large files each time, never the small one among them", async () => {
  const set = await make("large", "a");
  const small = readFileSync(set.oneFile);
  for (let time = 0; time < 20; time += 1) set.change();
  expect(readFileSync(set.oneFile).equals(small)).toBe(true);
});

it("the large set is half compressible", async () => {
  const set = await make("large", "a");
  const image = readFileSync(join(set.root, "disk-1.img"));
  const share = zstdCompressSync(image).length / image.length;
  expect(share).toBeGreaterThan(0.5);
  expect(share).toBeLessThan(0.75);
});
