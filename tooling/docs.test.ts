import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
const pages = ["README.md", ...markdown("docs")];

function markdown(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".md"))
    .map((name) => join(folder, name));
}

describe.each(pages)("%s", (page) => {
  const text = readFileSync(join(root, page), "utf8");

  test("links lead somewhere", () => {
    const links = [...text.matchAll(/\]\(([^)\s#]+)[^)]*\)/g)].map((match) => match[1] ?? "");
    const local = links.filter((link) => !/^[a-z]+:/.test(link));
    expect(local.filter((link) => !existsSync(resolve(root, dirname(page), link)))).toEqual([]);
  });

  test("files and folders that are named exist", () => {
    const named = [...text.matchAll(/`((?:apps|packages|e2e|infra|tooling|docs)\/[\w./-]+)`/g)].map(
      (match) => match[1] ?? "",
    );
    // What a build or a run makes need not be there.
    const kept = named.filter((name) => !/dist|test-results/.test(name));
    expect(kept.filter((name) => !existsSync(join(root, name)))).toEqual([]);
  });
});

test("docs/promises.md has every promise once", () => {
  const text = readFileSync(join(root, "docs/promises.md"), "utf8");
  const ids = [...text.matchAll(/^\| (\d+) \|/gm)].map((match) => Number(match[1]));
  expect(ids).toEqual(Array.from({ length: 43 }, (_, index) => index + 1));
});
