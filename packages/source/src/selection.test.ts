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
    expect(roots(new Selection(["/b/c", "/a", "/b", "/a/", "/b//c"], []))).toEqual(["/a", "/b", "/b/c"]);
  });

  it("leaves what lies below an inner root to that root", () => {
    const selection = new Selection(["/b", "/b/c"], []);
    expect(selection.takes(0, path("/b/c"), true)).toBe(false);
    expect(selection.takes(0, path("/b/c/d"), false)).toBe(false);
    expect(selection.takes(1, path("/b/c/d"), false)).toBe(true);
    expect(selection.takes(0, path("/b/cd"), false)).toBe(true);
    expect(selection.takes(7, path("/b/cd"), false)).toBe(false);
  });

  it("matches patterns as gitignore does, relative to each root, with the case of letters", () => {
    const selection = new Selection(["/home"], ["*.log", "!keep.log", "/top", "cache/", "a/**/z", "\\#x"]);
    const takes = (text: string, directory = false) => selection.takes(0, path(`/home/${text}`), directory);
    expect(takes("x.log")).toBe(false);
    expect(takes("deep/er/x.log")).toBe(false);
    expect(takes("deep/keep.log")).toBe(true);
    expect(takes("x.LOG")).toBe(true);
    expect(takes("top")).toBe(false);
    expect(takes("deep/top")).toBe(true);
    expect(takes("cache")).toBe(true);
    expect(takes("cache", true)).toBe(false);
    expect(takes("deep/cache/inside")).toBe(false);
    expect(takes("a/b/c/z")).toBe(false);
    expect(takes("#x")).toBe(false);
    expect(selection.takes(0, path("/home"), true)).toBe(true);
  });

  it("copes with names that look like something else", () => {
    const selection = new Selection(["/"], ["secret"]);
    for (const name of ["...", "..a", "-", "C:", "a\\b", "a\nb", "\xff", " ", "~"]) {
      expect(selection.takes(0, path(`/${name}`), false), name).toBe(true);
      expect(selection.takes(0, path(`/${name}/secret`), false), name).toBe(false);
    }
  });

  it("gives the same answer however many paths it has matched", () => {
    const selection = new Selection(["/r"], ["no*"]);
    for (let index = 0; index < 45_000; index++) {
      if (selection.takes(0, path(`/r/d${index}/x`), false)) continue;
      throw new Error(`refused path ${index}`);
    }
    expect(selection.takes(0, path("/r/d1/nothing"), false)).toBe(false);
  });
});
