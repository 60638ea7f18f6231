import fc from "fast-check";
import type { FileEntry } from "@xvault/kernel";
import { describe, expect, test } from "vitest";
import { codeOf, entry, listOf, memoryReader } from "../../test/support.ts";
import { entryFromIndex, toIndexEntry, type IndexEntry } from "./entry.ts";
import { indexHead, indexLine, indexTail, readIndex } from "./lines.ts";
import { type IndexNote, Notes, readNotes } from "./notes.ts";
import { listDirectory, selectEntries } from "./select.ts";

const HASH = "0".repeat(64);
const lineOf = (one: FileEntry, offset = 0) =>
  toIndexEntry(one, { offset, bodyOffset: offset + 512, sha256: one.type === "file" ? HASH : undefined });

function indexOf(lines: IndexEntry[]): Buffer {
  const totals = { entries: lines.length, files: 0, dirs: 0, links: 0, logical_bytes: 0, problems: 0 };
  return Buffer.concat([indexHead(), ...lines.map(indexLine), indexTail(totals)]);
}

const sample: FileEntry[] = [
  entry("etc", { type: "dir", mode: 0o755 }),
  entry("etc/hosts", { size: 120, uname: "root", gname: "wheel", mode: 0o4755 }),
  entry(Buffer.from([0x65, 0x74, 0x63, 0x2f, 0xff]), { size: 3, mtimeNs: -1_500_000_000n }),
  entry("etc/link", { type: "symlink", linkTarget: Buffer.from([0xfe, 0x2f]) }),
  entry("var/log/new\nline", { size: 9000, sparse: [{ offset: 10, length: 20 }] }),
  entry("var/log/hard", { type: "hardlink", linkTarget: Buffer.from("etc/hosts") }),
];
const lines = sample.map((one, i) => lineOf(one, i * 1024));

test("entries survive the index, with names of any bytes", async () => {
  const found = await listOf(readIndex(memoryReader(indexOf(lines))));
  expect(found).toEqual(lines);
  expect(found.map(entryFromIndex)).toEqual(sample);
});

test("lines are found across the pieces that are read", async () => {
  const many = Array.from({ length: 30_000 }, (_, i) => lineOf(entry(`d${i % 7}/file-${i}`, { size: i }), i));
  const bytes = indexOf(many);
  expect(bytes.length).toBeGreaterThan(3 * 1024 * 1024);
  expect(await listOf(readIndex(memoryReader(bytes)))).toEqual(many);
});

describe("notes", () => {
  const totals = { entries: lines.length, files: 0, dirs: 0, links: 0, logical_bytes: 0, problems: 3 };
  const noted = (notes: unknown) =>
    Buffer.concat([indexHead(), ...lines.map(indexLine), indexTail(totals, notes as IndexNote[])]);

  test("what is noted of an entry in the end stands in it, whatever bytes its name has", async () => {
    const notes = new Notes();
    notes.add({ path: Buffer.from("/etc/hosts"), kind: "changed" });
    notes.add({ path: Buffer.from([0x65, 0x74, 0x63, 0x2f, 0xff]), kind: "unreadable" });
    notes.add({ path: Buffer.from("/root/secret"), kind: "denied" });
    const found = await listOf(readIndex(memoryReader(noted(notes.list()))));
    expect(found).toEqual(
      lines.map((line, at) => ({
        ...line,
        ...(at === 1 ? { problem: "changed" } : at === 2 ? { problem: "unreadable" } : {}),
      })),
    );
    expect([...(await readNotes(memoryReader(noted(notes.list()))))].length).toBe(3);
  });

  test("more notes than the last line takes are left out, and it is found however long it is", async () => {
    const notes = new Notes();
    for (let at = 0; at < 60_000; at += 1)
      notes.add({ path: Buffer.from(`/${"long/".repeat(15)}${at}`), kind: "changed" });
    expect(notes.list().length).toBeGreaterThan(30_000);
    expect(notes.list().length).toBeLessThan(60_000);
    const bytes = noted(notes.list());
    expect(bytes.length).toBeLessThan(4.5 * 1024 * 1024);
    expect((await readNotes(memoryReader(bytes))).size).toBe(notes.list().length);
    expect(await listOf(readIndex(memoryReader(bytes)))).toEqual(lines);
  });

  test.each<[string, unknown]>([
    ["that are no list", {}],
    ["that are no objects", ["changed"]],
    ["null", [null]],
    ["without a path", [{ problem: "changed" }]],
    ["with an empty path", [{ path: "", problem: "changed" }]],
    ["of a kind that nobody knows", [{ path: "etc/hosts", problem: "burnt" }]],
  ])("%s are malformed", async (_what, notes) => {
    const bytes = Buffer.concat([
      indexHead(),
      ...lines.map(indexLine),
      Buffer.from(`${JSON.stringify({ kind: "xvault-index-end", ...totals, noted: notes })}\n`),
    ]);
    expect(await codeOf(listOf(readIndex(memoryReader(bytes))))).toBe("ARCHIVE_MALFORMED");
  });
});

describe("damaged indexes", () => {
  const whole = indexOf(lines);
  const read = (bytes: Buffer) => codeOf(listOf(readIndex(memoryReader(bytes))));

  test("a whole one reads (control); one cut anywhere is truncated", async () => {
    expect(await read(whole)).toBe("none");
    for (let cut = 0; cut < whole.length; cut += 1)
      expect(await read(whole.subarray(0, cut))).toBe("ARCHIVE_TRUNCATED");
  });

  test("a missing, doubled or trailing line shows", async () => {
    const [first, second] = [indexLine(lines[0] as IndexEntry), indexLine(lines[1] as IndexEntry)];
    const tail = (entries: number) =>
      indexTail({ entries, files: 0, dirs: 0, links: 0, logical_bytes: 0, problems: 0 });
    expect(await read(Buffer.concat([indexHead(), first, second, tail(2)]))).toBe("none");
    expect(await read(Buffer.concat([indexHead(), first, tail(2)]))).toBe("ARCHIVE_MALFORMED");
    expect(await read(Buffer.concat([indexHead(), first, first, second, tail(2)]))).toBe("ARCHIVE_MALFORMED");
    expect(await read(Buffer.concat([indexHead(), tail(0), first]))).toBe("TRAILING_DATA");
    expect(await read(Buffer.concat([first, second, tail(2)]))).toBe("ARCHIVE_MALFORMED");
    expect(await read(Buffer.concat([Buffer.from('{"format":2,"kind":"xvault-index"}\n'), tail(0)]))).toBe(
      "ARCHIVE_MALFORMED",
    );
  });

  test.each<[string, object]>([
    ["no path", { path: undefined }],
    ["two paths", { path_b64: "YQ==" }],
    ["a path that is no base64", { path: undefined, path_b64: "%%%%" }],
    ["an unknown type", { type: "fifo" }],
    ["a negative size", { size: -1 }],
    ["a fractional offset", { offset: 0.5 }],
    ["a body before its header", { offset: 9999 }],
    ["a body of another size", { body_bytes: 119 }],
    ["a mode that is no octal", { mode: "rwx" }],
    ["a time that is no number", { mtime: "now" }],
    ["no hash", { sha256: undefined }],
    ["a hash that is none", { sha256: "00" }],
    ["runs beyond the file", { sparse: [[100, 120]] }],
    [
      "runs that go back",
      {
        sparse: [
          [60, 60],
          [0, 60],
        ],
      },
    ],
    ["a link on a file", { link: "x" }],
  ])("%s", async (_what, change) => {
    const line = { ...(lines[1] as IndexEntry), ...change };
    expect(await read(indexOf([line]))).toBe("ARCHIVE_MALFORMED");
  });

  test("no mutation does more than throw one of our errors", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1, maxLength: 5 }),
        async (changes) => {
          const damaged = Buffer.from(whole);
          for (const [at, byte] of changes) damaged[at] = byte;
          await codeOf(
            (async () => {
              for await (const line of readIndex(memoryReader(damaged))) entryFromIndex(line);
            })(),
          );
        },
      ),
      { numRuns: 500 },
    );
  });

  test("a line that never ends is refused while it is read", async () => {
    const endless = Buffer.alloc(20 * 1024 * 1024, "x");
    expect(await read(Buffer.concat([indexHead(), endless]))).toBe("ARCHIVE_MALFORMED");
  });
});

describe("looking into an index", () => {
  const all = () => readIndex(memoryReader(indexOf(lines)));

  test("a directory lists its children with what lies below, implied ones too", async () => {
    const root = await listDirectory(all(), Buffer.alloc(0));
    expect(
      root.children.map((child) => [
        child.name.toString(),
        child.type,
        child.size,
        child.count,
        child.entry !== undefined,
      ]),
    ).toEqual([
      ["etc", "dir", 123, 3, true],
      ["var", "dir", 9000, 2, false],
    ]);
    const etc = await listDirectory(all(), Buffer.from("etc"));
    expect(etc.self?.mode).toBe("0755");
    expect(etc.children.map((child) => child.name)).toEqual([
      Buffer.from("hosts"),
      Buffer.from("link"),
      Buffer.from([0xff]),
    ]);
  });

  test("a file lists itself; a name that is not there is NOT_FOUND, a prefix of one too", async () => {
    expect(await listDirectory(all(), Buffer.from("etc/hosts"))).toMatchObject({ self: { size: 120 }, children: [] });
    expect(await codeOf(listDirectory(all(), Buffer.from("et")))).toBe("NOT_FOUND");
    expect(await codeOf(listDirectory(all(), Buffer.from("etc/hosts/x")))).toBe("NOT_FOUND");
  });

  const selected = async (...paths: string[]) =>
    (
      await listOf(
        selectEntries(
          all,
          paths.map((path) => Buffer.from(path)),
        ),
      )
    ).map(({ entry: made }) => made.path.toString("latin1"));

  test("a selection has the entries at the paths and below, in order", async () => {
    expect(await selected()).toEqual(sample.map((one) => one.path.toString("latin1")));
    expect(await selected("")).toEqual(await selected());
    expect(await selected("etc")).toEqual(["etc", "etc/hosts", "etc/\xff", "etc/link"]);
    expect(await selected("var", "etc/hosts")).toEqual(["etc/hosts", "var/log/new\nline", "var/log/hard"]);
    expect(await selected("et")).toEqual([]);
  });

  test("hard links whose content is not selected become files with it, once", async () => {
    const links = [
      ...lines,
      lineOf(entry("var/log/second", { type: "hardlink", linkTarget: Buffer.from("etc/hosts") })),
    ];
    const chosen = await listOf(selectEntries(() => readIndex(memoryReader(indexOf(links))), [Buffer.from("var")]));
    expect(
      chosen.map(({ entry: made, source }) => [
        made.path.toString(),
        made.type,
        made.linkTarget?.toString(),
        source.path,
      ]),
    ).toEqual([
      ["var/log/hard", "file", undefined, "etc/hosts"],
      ["var/log/new\nline", "file", undefined, "var/log/new\nline"],
      ["var/log/second", "hardlink", "var/log/hard", "var/log/second"],
    ]);
  });
});
