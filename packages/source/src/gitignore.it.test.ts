import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Patterns } from "./gitignore.ts";

const missing = (() => {
  try {
    execFileSync("git", ["--version"], { stdio: "ignore" });
    return null;
  } catch {
    return "git is not installed";
  }
})();

/** Names as bytes: plain, odd, with what patterns give a meaning to, UTF-8 and none. */
const NAMES = [
  "a",
  "b",
  "ab",
  "a.log",
  "b.log",
  "A",
  "a b",
  "a ",
  "!a",
  "#a",
  "[a]",
  "a*",
  "a?",
  "a\\b",
  "-",
  "\xff",
  "a\xffb",
  "\xc3\xbc",
  "\xc3\xa0",
  "*",
  "]",
  "a\nb",
];

describe.skipIf(missing)(`gitignore syntax${missing ? ` (skipped: ${missing})` : ""}`, () => {
  let repository: string;
  /** Every path of a tree, its bytes as latin1. */
  const paths: { path: string; isDirectory: boolean }[] = [];

  beforeAll(() => {
    repository = mkdtempSync(join(tmpdir(), "xvault-ignore-"));
    execFileSync("git", ["init", "-q"], { cwd: repository });
    const at = (path: string) => Buffer.concat([Buffer.from(`${repository}/`), Buffer.from(path, "latin1")]);
    const plant = (prefix: string, depth: number) => {
      for (const [index, name] of NAMES.entries()) {
        // Different things under the same name in different places.
        const isDirectory = depth < 3 && (index + depth) % (depth + 2) === 0;
        const path = prefix + name;
        paths.push({ path, isDirectory });
        if (isDirectory) {
          mkdirSync(at(path));
          plant(`${path}/`, depth + 1);
        } else writeFileSync(at(path), "");
      }
    };
    plant("", 0);
  });
  afterAll(() => rmSync(repository, { recursive: true, force: true }));

  function byGit(patterns: string[]): Set<string> {
    writeFileSync(join(repository, ".git/info/exclude"), `${patterns.join("\n")}\n`);
    const input = Buffer.from(paths.map(({ path }) => `${path}\0`).join(""), "latin1");
    try {
      const options = {
        cwd: repository,
        input,
        maxBuffer: 1 << 26,
        stdio: ["pipe", "pipe", "ignore"] as ["pipe", "pipe", "ignore"],
      };
      const out = execFileSync(
        "git",
        ["-c", "core.ignoreCase=false", "check-ignore", "-z", "--stdin", "--no-index"],
        options,
      );
      return new Set(out.toString("latin1").split("\0").slice(0, -1));
    } catch (error) {
      // 1: nothing is ignored.
      if (error instanceof Error && "status" in error && error.status === 1) return new Set();
      throw error;
    }
  }

  function byUs(lines: string[]): Set<string> {
    const patterns = new Patterns(lines);
    const out = new Set<string>();
    for (const { path, isDirectory } of paths) {
      const parent = path.slice(0, Math.max(0, path.lastIndexOf("/")));
      if (out.has(parent) || patterns.excludes(path, isDirectory)) out.add(path);
    }
    return out;
  }

  it.each(
    [
      ["*.log", "!b.log"],
      ["a/", "!a/b"],
      ["/a"],
      ["/a/*", "!/a/b"],
      ["**/a.log"],
      ["a/**"],
      ["a/**/b"],
      ["**"],
      ["**/"],
      ["/**", "!a"],
      ["a**b"],
      ["a/***/b"],
      ["**/**/b"],
      ["\\!a", "\\#a", "\\[a\\]"],
      ["#a", " a", "a\\ ", "a "],
      ["[a]", "[!a]b", "[^b]"],
      ["[]]", "[]-a]", "[a-]", "[a", "a\\", "[[:alpha:]]", "[[:nope:]]", "[[:alpha:]-b]"],
      ["?"],
      ["??"],
      ["ü", "à"],
      ["\u00c3?"],
      ["/", "//", "a//b", "//a", "!", "", "/*/", "*/b"],
      ["a/b/", "!a/b"],
      ["*", "!*/"],
      ["*", "!*/", "!*.log"],
      ["\\a", "a\\/b", "\\*"],
      ["a\r"],
    ].map((patterns) => ({ patterns })),
  )("$patterns", ({ patterns }) => {
    expect([...byUs(patterns)].sort()).toEqual([...byGit(patterns)].sort());
  });

  it("is git's for generated patterns", () => {
    const piece = fc.constantFrom(
      "a",
      "b",
      ".log",
      "*",
      "**",
      "?",
      "/",
      "/**/",
      "[ab]",
      "[!a]",
      "[a-c]",
      "\\*",
      "\\ ",
      " ",
      "ü",
      "[",
      "]",
      "-",
      "\\",
      "A",
    );
    const pattern = fc
      .tuple(
        fc.constantFrom("", "", "!", "/", "!/", "**/"),
        fc.array(piece, { minLength: 1, maxLength: 5 }),
        fc.constantFrom("", "", "/", "/**", "/*"),
      )
      .map(([start, pieces, end]) => start + pieces.join("") + end);
    // Two oddities of git are left: '**' that sticks to a name before a slash ("a**/b", where git forgets the name first), and '\\/'.
    const odd = /[^/!]\*\*+(\/|$)|\\\//;
    fc.assert(
      fc.property(
        fc.array(
          pattern.filter((text) => !odd.test(text)),
          { minLength: 1, maxLength: 4 },
        ),
        (patterns) => {
          expect([...byUs(patterns)].sort()).toEqual([...byGit(patterns)].sort());
        },
      ),
      { numRuns: 150 },
    );
  }, 120_000);
});
