import { describe, expect, it } from "vitest";
import { Selection, cleanPath, isWithin } from "./selection.ts";

const path = (text: string) => Buffer.from(text, "latin1");
const roots = (selection: Selection) => selection.roots.map((root) => root.toString("latin1"));

describe("cleanPath", () => {
  it("takes double, trailing and '.' parts away, and keeps bytes", () => {
    expect(cleanPath("//var/./www//").toString()).toBe("/var/www");
    expect(cleanPath("/").toString()).toBe("/");
    expect(cleanPath(path("/a\xff/")).equals(path("/a\xff"))).toBe(true);
    expect(cleanPath("/ü").equals(Buffer.from("/ü"))).toBe(true);
  });

  it("refuses what is relative, climbs or holds a NUL", () => {
    for (const bad of ["", "a", "./a", "/..", "/a/../b", "/a\0b"]) {
      expect(() => cleanPath(bad)).toThrowError(expect.objectContaining({ code: "PATH_INVALID" }));
    }
    expect(cleanPath("/..a/b..").toString()).toBe("/..a/b..");
  });
});

describe("isWithin", () => {
  it("goes by whole parts", () => {
    expect(isWithin(path("/a/b"), path("/a"))).toBe(true);
    expect(isWithin(path("/a"), path("/a"))).toBe(true);
    expect(isWithin(path("/ab"), path("/a"))).toBe(false);
    expect(isWithin(path("/"), path("/a"))).toBe(false);
    expect(isWithin(path("/a"), path("/"))).toBe(true);
  });
});

describe("Selection", () => {
  it("holds each root once, outer ones first", () => {
    expect(roots(new Selection(["/b/c", "/a", "/b", "/a/", "/b//c"], { excludes: [] }))).toEqual(["/a", "/b", "/b/c"]);
  });

  it("leaves what lies below an inner root to that root", () => {
    const selection = new Selection(["/b", "/b/c"], { excludes: [] });
    expect(selection.takes(0, path("/b/c"), true)).toBe(false);
    expect(selection.takes(0, path("/b/c/d"), false)).toBe(false);
    expect(selection.takes(1, path("/b/c/d"), false)).toBe(true);
    expect(selection.takes(0, path("/b/cd"), false)).toBe(true);
    expect(selection.takes(7, path("/b/cd"), false)).toBe(false);
  });

  it("matches patterns as gitignore does, relative to each root, with the case of letters", () => {
    const selection = new Selection(["/home"], {
      excludes: ["*.log", "!keep.log", "/top", "cache/", "a/**/z", "\\#x"],
    });
    const takes = (text: string, directory = false) => selection.takes(0, path(`/home/${text}`), directory);
    expect(takes("x.log")).toBe(false);
    expect(takes("deep/er/x.log")).toBe(false);
    expect(takes("deep/keep.log")).toBe(true);
    expect(takes("x.LOG")).toBe(true);
    expect(takes("top")).toBe(false);
    expect(takes("deep/top")).toBe(true);
    expect(takes("cache")).toBe(true);
    expect(takes("cache", true)).toBe(false);
    expect(takes("deep/cache/inside")).toBe(true);
    expect(selection.reaches(0, path("/home/deep/cache/inside"), false)).toBe(false);
    expect(takes("a/b/c/z")).toBe(false);
    expect(takes("#x")).toBe(false);
    expect(selection.takes(0, path("/home"), true)).toBe(true);
  });

  it("copes with names that look like something else", () => {
    const selection = new Selection(["/"], { excludes: ["secret"] });
    for (const name of ["...", "..a", "-", "C:", "a\\b", "a\nb", "\xff", " ", "~"]) {
      expect(selection.takes(0, path(`/${name}`), false), name).toBe(true);
      expect(selection.takes(0, path(`/${name}/secret`), false), name).toBe(false);
    }
  });

  it("limits regular files by size, both limits included", () => {
    const selection = new Selection(["/r"], { excludes: [], minFileBytes: 10, maxFileBytes: 20 });
    const keeps = (size: number, type: "file" | "dir" = "file") => selection.keeps({ type, size, mtimeNs: 0n });
    expect([9, 10, 20, 21].map((size) => keeps(size))).toEqual([false, true, true, false]);
    expect(keeps(0, "dir")).toBe(true);
  });

  it("limits regular files by age in whole seconds", () => {
    const at = (mtimeNs: bigint, limits: { newerThanSeconds?: number; olderThanSeconds?: number }) =>
      new Selection(["/r"], { excludes: [], agesFromNs: 1_000_900_000_000n, ...limits }).keeps({
        type: "file",
        size: 0,
        mtimeNs,
      });
    const tenOld = 990_000_000_000n;
    expect(at(tenOld, { newerThanSeconds: 10 })).toBe(true);
    expect(at(tenOld + 999_999_999n, { newerThanSeconds: 10 })).toBe(true);
    expect(at(tenOld - 1n, { newerThanSeconds: 10 })).toBe(false);
    expect(at(9_000_000_000_000n, { newerThanSeconds: 10 })).toBe(true);
    expect(at(tenOld + 999_999_999n, { olderThanSeconds: 10 })).toBe(true);
    expect(at(tenOld + 1_000_000_000n, { olderThanSeconds: 10 })).toBe(false);
    expect(at(-1n, { newerThanSeconds: 1000 })).toBe(false);
    expect(at(0n, { newerThanSeconds: 1000 })).toBe(true);
  });

  it("gives the same answer however many paths it has matched", () => {
    const selection = new Selection(["/r"], { excludes: ["no*"] });
    for (let index = 0; index < 45_000; index++) {
      if (selection.takes(0, path(`/r/d${index}/x`), false)) continue;
      throw new Error(`refused path ${index}`);
    }
    expect(selection.takes(0, path("/r/d1/nothing"), false)).toBe(false);
  });
});
