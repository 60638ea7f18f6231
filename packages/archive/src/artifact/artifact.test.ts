import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { XVaultError, type FileEntry, type PathProblem } from "@xvault/kernel";
import { describe, expect, test } from "vitest";
import {
  codeOf,
  collect,
  entry,
  listOf,
  memoryReader,
  memorySink,
  noise,
  pieces,
  readAll,
} from "../../test/support.ts";
import { logicalBytes } from "../content.ts";
import { openFrames } from "../frames/open.ts";
import { entryFromIndex, type IndexEntry } from "../index/entry.ts";
import { readIndex } from "../index/lines.ts";
import { openArtifact } from "./reader.ts";
import { createArtifactWriter } from "./writer.ts";

const sha = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");

async function pack(members: [FileEntry, AsyncIterable<Buffer> | null][]) {
  const artifact = memorySink();
  const index = memorySink();
  const problems: PathProblem[] = [];
  const writer = createArtifactWriter({
    artifact,
    index,
    frameBytes: 20_000,
    onProblem: (problem) => problems.push(problem),
  });
  const lines: IndexEntry[] = [];
  for (const [what, body] of members) lines.push(await writer.add(what, body));
  const totals = await writer.finish();
  const tar = await openFrames(memoryReader(artifact.bytes()));
  const plainIndex = await openFrames(memoryReader(index.bytes()));
  return { lines, totals, problems, tar, index: plainIndex, artifact: artifact.bytes(), indexBytes: index.bytes() };
}

const holes = [
  { offset: 4096, length: 1024 },
  { offset: 50_000, length: 24 },
];
const members = (): [FileEntry, AsyncIterable<Buffer> | null][] => [
  [entry("top", { type: "dir", mode: 0o755 }), null],
  [entry("top/empty"), null],
  [entry("top/small", { size: 100 }), pieces(noise(100))],
  [entry("top/large", { size: 70_000 }), pieces(noise(70_000), 9999)],
  [entry("top/sparse", { size: 80_000, sparse: holes }), pieces(noise(1048), 700)],
  [entry("top/link", { type: "symlink", linkTarget: Buffer.from("/anywhere") }), null],
  [entry("top/hard", { type: "hardlink", linkTarget: Buffer.from("top/small") }), null],
];

const dense = () => {
  const bytes = Buffer.alloc(80_000);
  noise(1048).copy(bytes, 4096, 0, 1024);
  noise(1048).copy(bytes, 50_000, 1024);
  return bytes;
};

test("what is packed reads back by its index, hashes and all", async () => {
  const packed = await pack(members());
  const reader = openArtifact(packed);
  const lines = await listOf(reader.entries());
  expect(lines).toEqual(packed.lines);
  expect(lines.map(entryFromIndex)).toEqual(members().map(([what]) => what));
  const bodies = await Promise.all(lines.map((line) => collect(reader.body(line))));
  expect(bodies.map((body) => body.length)).toEqual([0, 0, 100, 70_000, 1048, 0, 0]);
  expect(lines[3]?.sha256).toBe(sha(noise(70_000)));
  expect(lines[4]?.sha256).toBe(sha(dense()));
  expect(packed.problems).toEqual([]);
  expect(packed.totals).toMatchObject({ files: 4, dirs: 1, links: 2, logicalBytes: 150_100, problems: 0 });
  expect(packed.totals.tarBytes).toBe(packed.tar.size);
  expect(packed.totals.compressedBytes).toBe(packed.artifact.length);
  expect(packed.totals.indexBytes).toBe(packed.indexBytes.length);
});

test("the logical bytes of a sparse file have its holes as zeros", async () => {
  const [what, body] = members()[4] as [FileEntry, AsyncIterable<Buffer>];
  expect(await collect(logicalBytes(what, body))).toEqual(dense());
});

test("one body is read by its range alone", async () => {
  const source = memoryReader((await pack(members())).artifact);
  const packed = await pack(members());
  const reader = openArtifact({ tar: await openFrames(source), index: packed.index });
  const opened = source.reads.length;
  await collect(reader.body(packed.lines[2] as IndexEntry));
  expect(source.reads.length - opened).toBe(1);
});

test("an empty artifact is whole", async () => {
  const packed = await pack([]);
  expect(await listOf(openArtifact(packed).entries())).toEqual([]);
  expect(await readAll(pieces(await packed.tar.read(0, packed.tar.size)))).toEqual([]);
});

describe("sources that do not keep their word", () => {
  async function* failing(code: "SOURCE_CHANGED" | "PATH_DENIED" | "CONNECTION_LOST") {
    yield noise(30);
    throw new XVaultError(code);
  }

  test.each<[string, () => AsyncIterable<Buffer>, Buffer, string]>([
    [
      "a body that ends early is padded",
      () => pieces(noise(60)),
      Buffer.concat([noise(60), Buffer.alloc(40)]),
      "changed",
    ],
    ["a body that is longer is cut", () => pieces(noise(200), 30), noise(200).subarray(0, 100), "changed"],
    ["a source that changed", () => failing("SOURCE_CHANGED"), Buffer.concat([noise(30), Buffer.alloc(70)]), "changed"],
    ["a source that is denied", () => failing("PATH_DENIED"), Buffer.concat([noise(30), Buffer.alloc(70)]), "denied"],
  ])("%s, and the entry says so", async (_what, body, stored, problem) => {
    const packed = await pack([
      [entry("f", { size: 100 }), body()],
      [entry("after", { size: 5 }), pieces(noise(5))],
    ]);
    expect(packed.problems).toMatchObject([{ kind: problem, path: Buffer.from("f") }]);
    expect(packed.lines.map((line) => line.problem)).toEqual([problem, undefined]);
    expect(packed.totals.problems).toBe(1);
    const reader = openArtifact(packed);
    expect(await collect(reader.body(packed.lines[0] as IndexEntry))).toEqual(stored);
    expect(await collect(reader.body(packed.lines[1] as IndexEntry))).toEqual(noise(5));
  });

  test("a lost connection is thrown, and the writer takes nothing more", async () => {
    const writer = createArtifactWriter({ artifact: memorySink(), index: memorySink() });
    expect(await codeOf(writer.add(entry("f", { size: 100 }), failing("CONNECTION_LOST")))).toBe("CONNECTION_LOST");
    await expect(writer.add(entry("g"), null)).rejects.toThrow("after a failure");
    await expect(writer.finish()).rejects.toThrow("failed");
  });

  test("hostile paths are not packed", async () => {
    const writer = createArtifactWriter({ artifact: memorySink(), index: memorySink() });
    expect(await codeOf(writer.add(entry("../up"), null))).toBe("ENTRY_PATH_UNSAFE");
    expect((await writer.add(entry("fine"), null)).path).toBe("fine");
  });

  test("a cancelled run stops within a body", async () => {
    const control = new AbortController();
    const writer = createArtifactWriter({ artifact: memorySink(), index: memorySink(), signal: control.signal });
    const endless = (async function* () {
      for (let i = 0; ; i += 1) {
        if (i === 3) control.abort();
        yield noise(1000);
      }
    })();
    expect(await codeOf(writer.add(entry("f", { size: 1e12 }), endless))).toBe("CANCELLED");
  });
});

test("a hole of petabytes can be cancelled", async () => {
  const writer = createArtifactWriter({
    artifact: memorySink(),
    index: memorySink(),
    signal: AbortSignal.timeout(100),
  });
  const vast = entry("vast", { size: 2 ** 52, sparse: [{ offset: 2 ** 51, length: 4 }] });
  expect(await codeOf(writer.add(vast, pieces(noise(4))))).toBe("CANCELLED");
});

test("a file with more runs than its map is worth is packed whole", async () => {
  const runs = Array.from({ length: 70_000 }, (_, i) => ({ offset: i * 4 + 2, length: 2 }));
  const packed = await pack([[entry("many", { size: 280_000, sparse: runs }), pieces(Buffer.alloc(140_000, "x"))]]);
  const [line] = packed.lines;
  expect(line).toMatchObject({ size: 280_000, body_bytes: 280_000 });
  expect(await collect(openArtifact(packed).body(line as IndexEntry))).toEqual(Buffer.alloc(280_000, "\0\0xx"));
});

describe("an index that lies", () => {
  const reading = async (change: Partial<IndexEntry>) => {
    const packed = await pack(members());
    const honest = packed.lines[3] as IndexEntry;
    return codeOf(collect(openArtifact(packed).body({ ...honest, ...change })));
  };

  test.each<[string, Partial<IndexEntry>, string]>([
    ["nothing (control)", {}, "none"],
    ["the path", { path: "top/other" }, "ARCHIVE_MALFORMED"],
    ["the size", { size: 69_999, body_bytes: 69_999 }, "ARCHIVE_MALFORMED"],
    ["the runs", { sparse: [[0, 70_000]] }, "ARCHIVE_MALFORMED"],
    ["the body's place", { body_offset: 4096 }, "ARCHIVE_MALFORMED"],
    ["a place beyond the end", { offset: 1e9, body_offset: 1e9 + 512 }, "ARCHIVE_TRUNCATED"],
    ["the hash", { sha256: "0".repeat(64) }, "ARTIFACT_CORRUPT"],
  ])("about %s", async (_what, change, code) => {
    expect(await reading(change)).toBe(code);
  });
});

test("a file that an earlier artifact holds takes a line of the index and no byte of the tar", async () => {
  const artifact = memorySink();
  const index = memorySink();
  const writer = createArtifactWriter({ artifact, index });
  const stored = { snapshot: "s1", offset: 512, bodyOffset: 1024, sha256: sha(noise(100)) };
  await writer.add(entry("top", { type: "dir" }), null);
  const before = writer.progress().tarBytes;
  const line = await writer.refer(entry("top/kept", { size: 100 }), stored);
  expect(writer.progress().tarBytes).toBe(before);
  expect(line).toMatchObject({ path: "top/kept", snapshot: "s1", offset: 512, body_offset: 1024, body_bytes: 100 });
  const totals = await writer.finish();
  expect(totals).toMatchObject({ files: 1, dirs: 1, logicalBytes: 100 });
  const entered = readIndex(await openFrames(memoryReader(index.bytes())));
  expect((await listOf(entered)).at(-1)).toEqual(line);
});

test("lines of earlier files and packed ones are entered at once, each whole, over many frames of the index", async () => {
  const artifact = memorySink();
  const index = memorySink();
  const writer = createArtifactWriter({ artifact, index, frameBytes: 500 });
  const stored = { snapshot: "s1", offset: 0, bodyOffset: 512, sha256: sha(noise(1)) };
  const referring = listOf(
    (async function* () {
      for (let i = 0; i < 200; i++) yield await writer.refer(entry(`kept/${i}`, { size: 1 }), stored);
    })(),
  );
  for (let i = 0; i < 200; i++) await writer.add(entry(`packed/${i}`, { size: 3000 }), pieces(noise(3000), 700));
  await referring;
  await writer.finish();
  const entered = readIndex(await openFrames(memoryReader(index.bytes())));
  const paths = (await listOf(entered)).map((line) => line.path);
  for (const kind of ["kept", "packed"]) {
    expect(paths.filter((path) => path?.startsWith(kind))).toEqual(
      Array.from({ length: 200 }, (_, i) => `${kind}/${i}`),
    );
  }
});

test("a sparse file with a run that is no whole number of blocks is stored as a plain one, which GNU tar reads", async () => {
  const odd = [
    { offset: 4096, length: 1000 },
    { offset: 50_000, length: 24 },
  ];
  const { lines, tar } = await pack([
    [entry("odd", { size: 80_000, sparse: odd }), pieces(noise(1024), 700)],
    [entry("next", { size: 3 }), pieces(noise(3))],
  ]);
  expect(lines[0]).toMatchObject({ size: 80_000, body_bytes: 80_000 });
  expect(lines[0]?.sparse).toBeUndefined();
  const all = await tar.read(0, tar.size);
  expect(execFileSync("tar", ["-tf", "-"], { input: all, encoding: "utf8" })).toBe("odd\nnext\n");
  const expected = Buffer.alloc(80_000);
  noise(1024).copy(expected, 4096, 0, 1000);
  noise(1024).copy(expected, 50_000, 1000);
  expect(sha(execFileSync("tar", ["-xOf", "-", "odd"], { input: all }))).toBe(sha(expected));
});
