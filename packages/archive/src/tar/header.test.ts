import fc from "fast-check";
import { bodyLength, type DataRun, type FileEntry } from "@xvault/kernel";
import { expect, test } from "vitest";
import { entry, noise, pieces, readAll, tarOf } from "../../test/support.ts";
import { tarHeader } from "./header.ts";

const part = fc
  .oneof(
    fc.uint8Array({ minLength: 1, maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
    fc.string({ unit: "grapheme", minLength: 1, maxLength: 40 }).map((text) => Buffer.from(text)),
    fc.constant(Buffer.alloc(255, "n")),
  )
  .map((bytes) => Buffer.from(bytes.filter((byte) => byte !== 0 && byte !== 0x2f)))
  .filter((bytes) => bytes.length > 0 && !bytes.equals(Buffer.from(".")) && !bytes.equals(Buffer.from("..")));

const path = fc.array(part, { minLength: 1, maxLength: 5 }).map(joined);

function joined(parts: Buffer[]): Buffer {
  return Buffer.concat(parts.flatMap((bytes, i) => (i === 0 ? [bytes] : [Buffer.from("/"), bytes])));
}

const ownerName = fc.option(
  fc
    .string({ unit: "grapheme", minLength: 1, maxLength: 40 })
    .filter((name) => !name.includes("\0") && name.isWellFormed()),
  { nil: undefined },
);

const sparse = fc
  .array(fc.record({ gap: fc.nat(5000), length: fc.integer({ min: 1, max: 3000 }) }), { maxLength: 60 })
  .chain((runs) => fc.record({ runs: fc.constant(runs), tail: fc.nat(9000) }))
  .map(({ runs, tail }) => {
    let at = 0;
    const placed: DataRun[] = runs.map((run) => {
      const offset = at + run.gap;
      at = offset + run.length;
      return { offset, length: run.length };
    });
    return { sparse: placed, size: at + tail };
  });

const content = fc.oneof(
  fc.record({ type: fc.constant("dir" as const) }),
  fc.record({ type: fc.constantFrom("symlink" as const, "hardlink" as const), linkTarget: path }),
  fc.record({ type: fc.constant("file" as const), size: fc.nat(3000) }),
  sparse.map((map) => ({ type: "file" as const, ...map })),
);

const anyEntry: fc.Arbitrary<FileEntry> = fc
  .record({
    path,
    mode: fc.integer({ min: 0, max: 0o7777 }),
    uid: fc.oneof(fc.nat(70_000), fc.nat(2 ** 32 - 1)),
    gid: fc.oneof(fc.nat(70_000), fc.nat(2 ** 32 - 1)),
    mtimeNs: fc.oneof(
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 70n }),
      fc.bigInt({ min: 0n, max: 2n ** 31n }).map((seconds) => seconds * 1_000_000_000n),
    ),
    uname: ownerName,
    gname: ownerName,
    content,
  })
  .map(({ content: what, ...rest }) => {
    const made: FileEntry = { size: 0, ...rest, ...what };
    for (const key of ["uname", "gname"] as const) if (made[key] === undefined) delete made[key];
    return made;
  });

test("whatever an entry is, its header tells it again", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(anyEntry, { minLength: 1, maxLength: 4 }),
      fc.integer({ min: 1, max: 4096 }),
      async (entries, step) => {
        const bodies = entries.map((one, i) => noise(bodyLength(one), i + 1));
        const tar = tarOf(...entries.map((one, i): [FileEntry, Buffer] => [one, bodies[i] as Buffer]));
        const found = await readAll(pieces(tar, step));
        expect(found.map((member) => member.entry)).toEqual(entries);
        expect(found.map((member) => member.body)).toEqual(bodies);
        for (const member of found) {
          expect(tar.subarray(member.bodyOffset, member.bodyOffset + member.body.length)).toEqual(member.body);
        }
      },
    ),
    { numRuns: 150 },
  );
});

test("an ordinary entry takes one block; what ustar cannot hold takes a pax header", () => {
  expect(tarHeader(entry("a/b", { size: 12 })).length).toBe(512);
  expect(tarHeader(entry("a/b", { mtimeNs: 1n })).length).toBe(3 * 512);
  expect(tarHeader(entry("n".repeat(101))).length).toBe(3 * 512);
});

test("a file beyond 8 GiB keeps its size", async () => {
  const size = 8 * 1024 ** 3 + 5;
  const header = tarHeader(entry("huge", { size }));
  const { parseTar } = await import("./parse.ts");
  for await (const member of parseTar(pieces(header))) {
    expect(member.entry.size).toBe(size);
    break;
  }
  expect.assertions(1);
});

test("names that are not UTF-8 stand as they are, in ustar while they fit and under hdrcharset=BINARY beyond", () => {
  const short = tarHeader(entry(Buffer.from([0x66, 0xff, 0xfe])));
  expect(short.length).toBe(512);
  expect(short.subarray(0, 4)).toEqual(Buffer.from([0x66, 0xff, 0xfe, 0]));
  const long = tarHeader(entry(Buffer.alloc(120, 0xff)));
  expect(long.includes("21 hdrcharset=BINARY\n")).toBe(true);
  expect(long.includes(Buffer.concat([Buffer.from("path="), Buffer.alloc(120, 0xff)]))).toBe(true);
});
