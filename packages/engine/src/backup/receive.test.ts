import { expect, it } from "vitest";
import { entryPath } from "./receive.ts";

it("gives a package a path within its archive, whatever its client calls it", () => {
  const names: [string, string][] = [
    ["backup/2024-01/data", "backup/2024-01/data"],
    ["/etc/passwd", "etc/passwd"],
    ["../../etc/passwd", "etc/passwd"],
    ["a/../../b/./c//d/", "a/b/c/d"],
    ["C:\\Users\\me", "C:\\Users\\me"],
    ["..", "package"],
    ["///", "package"],
    ["…/日本", "…/日本"],
  ];
  for (const [label, path] of names) expect(entryPath(label).toString("utf8"), label).toBe(path);
});
