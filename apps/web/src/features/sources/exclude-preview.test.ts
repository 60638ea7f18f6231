import { describe, expect, it } from "vitest";
import { excludedBy, patternFor } from "./exclude-preview.ts";

describe("previewing exclude patterns", () => {
  it("names the pattern that drops an entry", () => {
    const patterns = ["*.log", "node_modules/"];
    expect(excludedBy(["/srv"], patterns, "/srv/app/debug.log", false)).toBe("*.log");
    expect(excludedBy(["/srv"], patterns, "/srv/app/node_modules", true)).toBe("node_modules/");
    expect(excludedBy(["/srv"], patterns, "/srv/app/node_modules", false)).toBeNull();
    expect(excludedBy(["/srv"], patterns, "/srv/app/main.ts", false)).toBeNull();
  });

  it("drops what lies below a dropped folder, and keeps what a later pattern takes back", () => {
    expect(excludedBy(["/srv"], ["cache/"], "/srv/cache/a/b", false)).toBe("cache/");
    expect(excludedBy(["/srv"], ["*.log", "!keep.log"], "/srv/keep.log", false)).toBeNull();
  });

  it("never drops a chosen path, nor what is not chosen", () => {
    expect(excludedBy(["/srv/cache"], ["cache"], "/srv/cache", true)).toBeNull();
    expect(excludedBy(["/srv"], ["*"], "/etc/hosts", false)).toBeNull();
  });

  it("makes a pattern that drops one entry alone, whatever its name", () => {
    for (const path of ["/srv/a/b", "/srv/odd[1]*?", "/srv/#x", "/srv/!y"]) {
      const pattern = patternFor(["/srv"], path);
      expect(pattern).not.toBeNull();
      expect(excludedBy(["/srv"], [pattern ?? ""], path, false)).toBe(pattern);
      expect(excludedBy(["/srv"], [pattern ?? ""], "/srv/other", false)).toBeNull();
    }
    expect(patternFor(["/"], "/etc/ssl")).toBe("/etc/ssl");
    expect(patternFor(["/srv"], "/srv")).toBeNull();
  });
});
