import type { FileEntry } from "@xvault/kernel";
import { expect, it } from "vitest";
import type { Listed } from "./find-list.ts";
import { HoleSearches } from "./hole-searches.ts";

const GB = 1_000_000_000;

function listed(path: string, size: number, blocks: number | undefined, type: Listed["type"] = "file"): Listed {
  const base = { mode: 0o644, uid: 0, gid: 0, mtimeNs: 0n };
  return { ...base, path: Buffer.from(path), absolute: Buffer.from(`/${path}`), type, size, blocks };
}

function sent(path: string, size: number, type: FileEntry["type"] = "file"): FileEntry {
  return { path: Buffer.from(path), type, size, mode: 0o644, uid: 0, gid: 0, mtimeNs: 0n };
}

it("counts large files that occupy less than their size, until tar has sent their heads", () => {
  const searches = new HoleSearches();
  searches.add(listed("whole", 10 * GB, (10 * GB) / 512));
  searches.add(listed("nothing but a hole", 10 * GB, 0));
  searches.add(listed("untold", 10 * GB, undefined));
  searches.add(listed("small", 1_000_000, 8));
  expect(searches.bytes).toBe(0);
  searches.add(listed("image", 100 * GB, 8));
  searches.add(listed("compressed", 5 * GB, GB / 512));
  expect(searches.bytes).toBe(105 * GB);
  searches.saw(sent("whole", 10 * GB));
  searches.saw(sent("image", 0, "dir"));
  expect(searches.bytes).toBe(105 * GB);
  searches.saw(sent("image", 100 * GB));
  expect(searches.bytes).toBe(5 * GB);
});

it("counts those no more that fell out before what came", () => {
  const searches = new HoleSearches();
  for (const name of ["gone", "link", "last"]) searches.add(listed(name, GB, 8));
  searches.saw(sent("link", 0, "hardlink"));
  expect(searches.bytes).toBe(GB);
});

it("counts as many as tar may look through before it sends anything", () => {
  const searches = new HoleSearches();
  for (let file = 0; file < 1000; file++) searches.add(listed(`image ${file}`, GB, 8));
  expect(searches.bytes).toBe(13 * GB);
});
