import { boundedReader, fuzz, mutated, orRefused } from "@xvault/test-kit/fuzz";
import fc from "fast-check";
import { expect, test } from "vitest";
import { entryFromIndex, indexPath, type IndexEntry } from "./entry.ts";
import { indexHead, indexLine, indexTail, readIndex } from "./lines.ts";
import { listDirectory, selectEntries } from "./select.ts";

const REFUSALS = ["ARCHIVE_MALFORMED", "ARCHIVE_TRUNCATED", "TRAILING_DATA"] as const;

const place = { offset: 512, body_offset: 1024, body_bytes: 0, uid: 0, gid: 0, mtime: "1700000000.5", size: 0 };
const sha256 = "0123456789abcdef".repeat(4);
const LINES: IndexEntry[] = [
  { path: "dir", type: "dir", mode: "0755", ...place },
  { path: "dir/file", type: "file", mode: "0644", sha256, ...place, size: 100, body_bytes: 100 },
  {
    path_b64: "ZGly/w==",
    type: "file",
    mode: "4755",
    sha256,
    ...place,
    uname: "root",
    gname: "root",
    problem: "changed",
  },
  {
    path: "dir/sparse",
    type: "file",
    mode: "0600",
    sha256,
    ...place,
    size: 900,
    body_bytes: 12,
    sparse: [
      [0, 4],
      [100, 8],
    ],
  },
  {
    path: "dir/kept",
    type: "file",
    mode: "0600",
    sha256,
    ...place,
    size: 9,
    body_bytes: 9,
    snapshot: "an earlier one",
  },
  { path: "link", type: "symlink", mode: "0777", link: "target", ...place },
  { path: "hard", type: "hardlink", mode: "0644", link_b64: "ZGlyL2ZpbGU=", ...place, mtime: "-1.5" },
];
const TOTALS = { files: 4, dirs: 1, links: 2, logical_bytes: 1009, problems: 1 };

const indexOf = (lines: Buffer[]) =>
  Buffer.concat([indexHead(), ...lines, indexTail({ entries: lines.length, ...TOTALS })]);
const VALID = [indexOf(LINES.map(indexLine)), indexOf([])];

const FIELDS = [...new Set(LINES.flatMap((line) => Object.keys(line))), "kind", "__proto__", "toString"];
const oddValue = fc.oneof(
  fc.jsonValue({ maxDepth: 2 }),
  fc.constantFrom<unknown>(
    -1,
    0.5,
    1e300,
    2 ** 53,
    -0,
    "",
    "..",
    "/",
    "a/../b",
    "\u0000",
    "0999",
    "\ud800",
    [[1, 2]],
    [[5, -1]],
    {},
  ),
);
/** Lines that are JSON with one member exchanged, added or taken away. */
const oddLines = fc
  .array(fc.tuple(fc.constantFrom(...LINES), fc.constantFrom(...FIELDS), oddValue, fc.boolean()), { maxLength: 6 })
  .map((odd) =>
    indexOf(
      odd.map(([line, field, value, absent]) => {
        const { [field as keyof IndexEntry]: _, ...rest } = line;
        const member = `,${JSON.stringify(field)}:${JSON.stringify(value)}}\n`;
        const text = JSON.stringify(rest);
        return Buffer.from(absent || value === undefined ? `${text}\n` : text.slice(0, -1) + member);
      }),
    ),
  );

const cases = fc.oneof({ weight: 2, arbitrary: mutated(VALID) }, { weight: 3, arbitrary: oddLines });

async function readWhole(bytes: Buffer): Promise<IndexEntry[]> {
  const reader = boundedReader(bytes, 100);
  const lines: IndexEntry[] = [];
  for await (const line of readIndex(reader)) {
    lines.push(line);
    const entry = entryFromIndex(line);
    expect(entry.path.length).toBeGreaterThan(0);
    expect(entry.path.equals(indexPath(line))).toBe(true);
    for (const number of [line.offset, line.body_offset, line.body_bytes, entry.size, entry.uid, entry.gid]) {
      expect(Number.isSafeInteger(number) && number >= 0).toBe(true);
    }
    expect(line.body_offset).toBeGreaterThanOrEqual(line.offset);
    expect(typeof entry.mtimeNs).toBe("bigint");
    expect(entry.linkTarget !== undefined).toBe(entry.type === "symlink" || entry.type === "hardlink");
    const runs = entry.sparse ?? [{ offset: 0, length: entry.size }];
    expect(runs.reduce((sum, run) => sum + run.length, 0)).toBe(entry.type === "file" ? line.body_bytes : 0);
  }
  expect(lines.length).toBeLessThanOrEqual(bytes.length / 100);
  return lines;
}

test("control: what is fuzzed is valid before", async () => {
  expect(await readWhole(VALID[0] ?? Buffer.alloc(0))).toEqual(LINES);
  expect(await readWhole(VALID[1] ?? Buffer.alloc(0))).toEqual([]);
});

test("a changed index gives entries that make sense, or one of three refusals", async () => {
  const seen = { whole: 0, refused: 0 };
  await fuzz(
    cases,
    async (bytes) => {
      const lines = await orRefused(REFUSALS, () => readWhole(bytes));
      seen[lines === null ? "refused" : "whole"] += 1;
    },
    2000,
  );
  expect(Math.min(seen.whole, seen.refused)).toBeGreaterThan(50);
});

test("what an index lets through can be listed and selected", async () => {
  await fuzz(
    cases,
    async (bytes) => {
      const lines = await orRefused(REFUSALS, () => readWhole(bytes));
      const entries = async function* () {
        yield* lines ?? [];
      };
      for (const path of ["", "dir", "hard", "nowhere"]) {
        await orRefused(["NOT_FOUND"], () => listDirectory(entries(), Buffer.from(path)));
        let selected = 0;
        for await (const { entry } of selectEntries(entries, [Buffer.from(path)])) {
          selected += 1;
          expect(entry.path.length).toBeGreaterThan(0);
        }
        expect(selected).toBeLessThanOrEqual((lines ?? []).length);
      }
    },
    300,
  );
});

test("selecting takes as long for deep paths as for long ones", async () => {
  // Looked up parent by parent, each of these takes half a second, and all of them more than the test may.
  const deep: IndexEntry = { path: `${"a/".repeat(50_000)}f`, type: "file", mode: "0644", sha256, ...place };
  const entries = async function* () {
    for (let i = 0; i < 400; i += 1) yield deep;
  };
  let selected = 0;
  for await (const _ of selectEntries(entries, [Buffer.from("b"), Buffer.from("a/b"), Buffer.from("a/a/a")]))
    selected += 1;
  expect(selected).toBe(400);
});

test("a selection has what is named and what lies below, and nothing else", async () => {
  const name = fc
    .array(fc.constantFrom("a", "b", "ab", "a.", "é"), { minLength: 1, maxLength: 4 })
    .map((parts) => parts.join("/"));
  await fuzz(
    fc.tuple(fc.array(name, { maxLength: 8 }), fc.array(name, { minLength: 1, maxLength: 3 })),
    async ([names, wanted]) => {
      const entries = async function* (): AsyncGenerator<IndexEntry> {
        for (const path of names) yield { path, type: "dir", mode: "0755", ...place };
      };
      const found: string[] = [];
      for await (const { source } of selectEntries(
        entries,
        wanted.map((path) => Buffer.from(path)),
      ))
        found.push(source.path ?? "");
      expect(found).toEqual(names.filter((path) => wanted.some((one) => path === one || path.startsWith(`${one}/`))));
    },
    500,
  );
});
