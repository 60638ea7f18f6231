import { bodyLength } from "@xvault/kernel";
import { chunked, fuzz, largestAllocation, mutated, orRefused } from "@xvault/test-kit/fuzz";
import fc from "fast-check";
import { expect, test } from "vitest";
import { entry, noise, padded, rawHeader, tarOf } from "../../test/support.ts";
import { checksum, TAR_END } from "./header.ts";
import { parseTar } from "./parse.ts";
import { paxRecord } from "./pax.ts";

const REFUSALS = ["ARCHIVE_MALFORMED", "ARCHIVE_TRUNCATED", "TRAILING_DATA"] as const;

const pax = (flag: string, ...records: [string, string][]) => {
  const data = Buffer.from(records.map(([key, value]) => paxRecord(key, value)).join(""), "latin1");
  return Buffer.concat([rawHeader({ name: "PaxHeader", flag, size: data.length }), padded(data)]);
};
const archive = (...parts: Buffer[]) => Buffer.concat([...parts, TAR_END]);

/** A header of GNU's old sparse format that goes on in one block of map. */
function oldSparse(): Buffer {
  const block = rawHeader({ name: "old sparse", flag: "S", size: 600 });
  const octal = (at: number, value: number) => block.write(value.toString(8).padStart(11, "0"), at, "latin1");
  octal(386, 0);
  octal(398, 100);
  octal(483, 9000);
  block[482] = 1;
  const more = Buffer.alloc(512);
  more.write((8000).toString(8).padStart(11, "0"), 0, "latin1");
  more.write((500).toString(8).padStart(11, "0"), 12, "latin1");
  return Buffer.concat([resum(block), more, padded(noise(600))]);
}

/** Makes a changed header block pass for one again. */
function resum(block: Buffer): Buffer {
  block.write(`${checksum(block).toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return block;
}

const VALID = [
  tarOf(
    [entry("dir", { type: "dir", mode: 0o755 })],
    [entry(`dir/${"n".repeat(180)}`, { size: 700, mtimeNs: -1_500_000_000n }), noise(700)],
    [entry(Buffer.from([0x64, 0xff, 0xfe]), { size: 3 }), Buffer.from("abc")],
    [entry("link", { type: "symlink", linkTarget: Buffer.from("t".repeat(120)) })],
    [entry("hard", { type: "hardlink", linkTarget: Buffer.from("dir/x") })],
    [entry("owner", { uid: 4_000_000_000, gid: 3_000_000, uname: "ü", gname: "g".repeat(50) })],
  ),
  tarOf(
    [
      entry("sparse", {
        size: 9000,
        sparse: [
          { offset: 100, length: 700 },
          { offset: 5000, length: 512 },
        ],
      }),
      noise(1212),
    ],
    [entry("all hole", { size: 2 ** 40, sparse: [] })],
  ),
  archive(
    rawHeader({ name: "././@LongLink", flag: "L", size: 200 }),
    padded(`${"l".repeat(199)}\0`),
    rawHeader({ name: "././@LongLink", flag: "K", size: 150 }),
    padded(`${"k".repeat(149)}\0`),
    rawHeader({ name: "short", flag: "2", link: "short" }),
    rawHeader({ name: "fifo", flag: "6" }),
    rawHeader({ name: "unknown", flag: "Z", size: 10 }),
    padded("0123456789"),
    rawHeader({ name: "name", prefix: "pre/fix", size: 5 }),
    padded("hello"),
  ),
  archive(
    pax("g", ["mtime", "1.5"], ["uname", "everybody"]),
    pax("x", ["size", "6"], ["path", "./a/b"], ["mtime", "-3.000000001"], ["unknown", "x"]),
    rawHeader({ name: "x", size: 0 }),
    padded("sixsix"),
    pax("x", ["GNU.sparse.size", "1000"], ["GNU.sparse.offset", "10"], ["GNU.sparse.numbytes", "6"]),
    rawHeader({ name: "sparse 0.0", size: 6 }),
    padded("sparse"),
    pax("x", ["GNU.sparse.size", "1000"], ["GNU.sparse.map", "10,3,20,3"], ["GNU.sparse.name", "sparse 0.1"]),
    rawHeader({ name: "x", size: 6 }),
    padded("sparse"),
    rawHeader({ name: "big", size: Buffer.from([0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4]) }),
    padded("base"),
  ),
  archive(oldSparse()),
];

/** The fields of a header block: where they stand and how long they are. Those of old sparse files are among them. */
const FIELDS: [at: number, width: number][] = [
  [0, 100],
  [100, 8],
  [108, 8],
  [116, 8],
  [124, 12],
  [136, 12],
  [148, 8],
  [156, 1],
  [157, 100],
  [257, 8],
  [265, 32],
  [345, 131],
  [386, 12],
  [398, 12],
  [482, 1],
  [483, 12],
];
const oddField = fc.oneof(
  fc.constantFrom(
    "0",
    "7",
    "77777777777",
    "1".repeat(12),
    " 12 3",
    "-1",
    "",
    "/",
    "../x",
    "x",
    "S",
    "L",
    "K",
    "g",
    "1",
    "5",
  ),
  fc.constantFrom([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe], [0x80, 0, 0, 0, 0, 0, 1]),
  fc.constantFrom(
    [0x80, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    [0xbf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
  ),
);
/** A valid archive with odd values in the fields of some blocks. */
const oddFields = fc
  .tuple(
    fc.constantFrom(...VALID),
    fc.array(fc.tuple(fc.nat(40), fc.constantFrom(...FIELDS), oddField), { maxLength: 4 }),
  )
  .map(([bytes, changes]) => {
    const copy = Buffer.from(bytes);
    for (const [block, [at, width], value] of changes) {
      const start = (block % (copy.length / 512)) * 512 + at;
      copy.fill(0, start, start + width);
      Buffer.from(value as string).copy(copy, start, 0, width);
    }
    return copy;
  });

const KEYS =
  "path linkpath size uid gid uname gname mtime hdrcharset GNU.sparse.major GNU.sparse.minor GNU.sparse.name".split(
    " ",
  );
KEYS.push("GNU.sparse.realsize", "GNU.sparse.size", "GNU.sparse.map", "GNU.sparse.offset", "GNU.sparse.numbytes");
const number = fc.oneof(
  fc.nat(1100).map(String),
  fc.constantFrom("0", "9007199254740991", "9007199254740992", "99999999999999999999", "-1", "1e3", "0x10", " 1", ""),
);
const value = fc.oneof(
  number,
  fc.constantFrom("1", "0", "1.5", "-0.000000001", "a/b", "./", "0,5,10,5", "10,5,0,5", "5,0,1"),
);
const mapText = fc
  .array(number, { maxLength: 7 })
  .map((numbers) => `${Math.floor(numbers.length / 2)}\n${numbers.join("\n")}\n`);
/** Archives of pax headers with odd records, each in front of a file; some with a map of GNU.sparse 1.0 in their data. */
const oddPax = fc
  .array(
    fc.record({
      flag: fc.constantFrom("x", "x", "x", "g"),
      records: fc.array(fc.tuple(fc.constantFrom(...KEYS), value), { maxLength: 6 }),
      sparse: fc.option(fc.tuple(mapText, fc.nat(1100)), { nil: undefined }),
      data: fc.nat(1100),
      // What the header says of the data, where that is not true.
      claim: fc.option(fc.nat(1100), { nil: undefined, freq: 3 }),
      type: fc.constantFrom("0", "0", "0", "5", "1", "2", "S", "7", "Z"),
    }),
    { minLength: 1, maxLength: 3 },
  )
  .map((members) =>
    archive(
      ...members.flatMap(({ flag, records, sparse, data, claim, type }) => {
        const more: [string, string][] = sparse
          ? [
              ["GNU.sparse.major", "1"],
              ["GNU.sparse.minor", "0"],
              ["GNU.sparse.realsize", String(sparse[1])],
            ]
          : [];
        const body = Buffer.concat([sparse ? padded(sparse[0]) : Buffer.alloc(0), Buffer.alloc(data, "d")]);
        const header = rawHeader({ name: "member", flag: type, link: "to", size: claim ?? body.length });
        return [pax(flag, ...records, ...more), header, padded(body)];
      }),
    ),
  );

interface Case {
  bytes: Buffer;
  pattern: number[];
}

/** Changed archives; most of them with checksums that fit, else few changes would come further than that. */
const cases: fc.Arbitrary<Case> = fc
  .tuple(
    fc.oneof(mutated(VALID), oddFields, oddPax),
    fc.double({ min: 0, max: 1, noNaN: true }),
    fc.array(fc.integer({ min: 1, max: 1500 }), { minLength: 1 }),
  )
  .map(([bytes, chance, pattern]) => {
    const copy = Buffer.from(bytes);
    for (let at = 0; at + 512 <= copy.length && chance < 0.9; at += 512) {
      if (copy.toString("latin1", at + 257, at + 262) === "ustar") resum(copy.subarray(at, at + 512));
    }
    return { bytes: copy, pattern };
  });

/** Reads all there is, and checks that it makes sense by itself. Gives the number of members. */
async function readWhole({ bytes, pattern }: Case): Promise<number> {
  let members = 0;
  let reached = 0;
  for await (const { entry: found, headerOffset, bodyOffset, body } of parseTar(chunked(bytes, pattern))) {
    members += 1;
    expect(headerOffset).toBeGreaterThanOrEqual(reached);
    expect(bodyOffset).toBeGreaterThan(headerOffset);
    for (const number of [found.size, found.uid, found.gid])
      expect(Number.isSafeInteger(number) && number >= 0).toBe(true);
    expect(found.mode & ~0o7777).toBe(0);
    let last = 0;
    for (const run of found.sparse ?? []) {
      expect(run.offset).toBeGreaterThanOrEqual(last);
      last = run.offset + run.length;
    }
    expect(last).toBeLessThanOrEqual(found.size);
    let length = 0;
    for await (const chunk of body) length += chunk.length;
    expect(length).toBe(bodyLength(found));
    reached = bodyOffset + length;
    expect(reached).toBeLessThanOrEqual(bytes.length);
  }
  expect(members).toBeLessThanOrEqual(bytes.length / 512);
  return members;
}

test("control: what is fuzzed is valid before", async () => {
  const counts = await Promise.all(VALID.map((bytes) => readWhole({ bytes, pattern: [100] })));
  expect(counts).toEqual([6, 2, 2, 4, 1]);
});

test("a changed archive gives members that make sense, or one of three refusals", async () => {
  const seen = { whole: 0, refused: 0 };
  await fuzz(
    cases,
    async (one) => {
      const members = await orRefused(REFUSALS, () => readWhole(one));
      seen[members === null ? "refused" : "whole"] += 1;
    },
    5000,
  );
  // Were all of one kind, the changes would be too coarse or too fine to test anything.
  expect(Math.min(seen.whole, seen.refused)).toBeGreaterThan(50);
});

test("sizes that an archive claims are never allocated", async () => {
  await fuzz(
    cases,
    async (one) => {
      const largest = await largestAllocation(() => orRefused(REFUSALS, () => readWhole(one)));
      expect(largest).toBeLessThanOrEqual(one.bytes.length + 8192);
    },
    200,
  );
});
