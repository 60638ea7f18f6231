import { describe, expect, it } from "vitest";
import { addPath, cleanTypedPath, holdsChosen, joinPath, rootOf } from "./path-selection.ts";

describe("choosing paths", () => {
  it("knows what a chosen folder covers, by whole names", () => {
    expect(rootOf(["/etc"], "/etc/ssh")).toBe("/etc");
    expect(rootOf(["/etc"], "/etc")).toBe("/etc");
    expect(rootOf(["/etc"], "/etcetera")).toBeNull();
    expect(rootOf(["/"], "/anything")).toBe("/");
  });

  it("drops what an added folder covers, and adds nothing that is covered", () => {
    expect(addPath(["/srv/a", "/srv/b", "/var"], "/srv")).toEqual(["/srv", "/var"]);
    expect(addPath(["/srv"], "/srv/a")).toEqual(["/srv"]);
    expect(addPath(["/srv"], "/")).toEqual(["/"]);
  });

  it("tells that a folder holds something chosen", () => {
    expect(holdsChosen(["/srv/www/data"], "/srv")).toBe(true);
    expect(holdsChosen(["/srv"], "/srv")).toBe(false);
    expect(holdsChosen(["/srv2"], "/srv")).toBe(false);
  });

  it("joins and cleans", () => {
    expect(joinPath("/", "etc")).toBe("/etc");
    expect(joinPath("/etc", "ssh")).toBe("/etc/ssh");
    expect(cleanTypedPath(" //srv//www/./ ")).toBe("/srv/www");
    expect(cleanTypedPath("/")).toBe("/");
    expect(cleanTypedPath("srv")).toBeNull();
    expect(cleanTypedPath("/srv/../etc")).toBeNull();
  });
});
