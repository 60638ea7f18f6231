import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { codeOf, entry, noise, padded, pieces, rawHeader, readAll, tarOf } from "../../test/support.ts";
import { checksum, TAR_END } from "./header.ts";
import { parseTar } from "./parse.ts";
import { paxRecord } from "./pax.ts";

const archive = (...parts: Buffer[]) => Buffer.concat([...parts, TAR_END]);
const pax = (flag: string, ...records: string[]) => {
  const data = Buffer.from(records.join(""), "latin1");
  return Buffer.concat([rawHeader({ name: "PaxHeaders.0/x", flag, size: data.length }), padded(data)]);
};
const only = async (bytes: Buffer) => {
  const found = await readAll(pieces(bytes, 700));
  expect(found.length).toBe(1);
  return found[0] as (typeof found)[number];
};

describe("what other tars write", () => {
  test("GNU long names and links", async () => {
    const name = `${"d".repeat(150)}/${"f".repeat(150)}`;
    const link = "l".repeat(300);
    const { entry: found, headerOffset } = await only(
      archive(
        rawHeader({ name: "././@LongLink", flag: "L", size: name.length + 1 }),
        padded(`${name}\0`),
        rawHeader({ name: "././@LongLink", flag: "K", size: link.length + 1 }),
        padded(`${link}\0`),
        rawHeader({ name: name.slice(0, 100), flag: "2", link: link.slice(0, 100) }),
      ),
    );
    expect(found.path.toString()).toBe(name);
    expect(found.linkTarget?.toString()).toBe(link);
    expect(headerOffset).toBe(0);
  });

  test("base-256 sizes and the ustar prefix", async () => {
    const size = Buffer.alloc(12);
    size[0] = 0x80;
    size.writeUInt32BE(700, 8);
    const { entry: found, body } = await only(
      archive(rawHeader({ name: "name", prefix: "some/prefix", size }), padded(noise(700))),
    );
    expect(found.path.toString()).toBe("some/prefix/name");
    expect(body).toEqual(noise(700));
  });

  test("global headers hold until they are taken back, local ones for one entry", async () => {
    const found = await readAll(
      pieces(
        archive(
          pax("g", paxRecord("uname", "everyone")),
          rawHeader({ name: "a" }),
          pax("x", paxRecord("uname", "one")),
          rawHeader({ name: "b" }),
          rawHeader({ name: "c" }),
          pax("g", paxRecord("uname", "")),
          rawHeader({ name: "d" }),
        ),
      ),
    );
    expect(found.map((member) => member.entry.uname)).toEqual(["everyone", "one", "everyone", undefined]);
  });

  test.each([
    ["0.1", [paxRecord("GNU.sparse.size", "9000"), paxRecord("GNU.sparse.map", "1000,512,8000,10")]],
    [
      "0.0",
      [
        paxRecord("GNU.sparse.size", "9000"),
        ...[1000, 512, 8000, 10].map((n, i) =>
          paxRecord(i % 2 ? "GNU.sparse.numbytes" : "GNU.sparse.offset", String(n)),
        ),
      ],
    ],
  ])("sparse files of GNU.sparse %s", async (_version, records) => {
    const { entry: found, body } = await only(
      archive(pax("x", ...records), rawHeader({ name: "s", size: 522 }), padded(noise(522))),
    );
    expect(found).toMatchObject({
      size: 9000,
      sparse: [
        { offset: 1000, length: 512 },
        { offset: 8000, length: 10 },
      ],
    });
    expect(body).toEqual(noise(522));
  });

  test("leading './' and the '/' of directories go, nothing else does", async () => {
    const names = ["./", "./a/b", "dir/", "/etc/passwd", "../up", "a//b", "a/./b"];
    const found = await readAll(
      pieces(archive(...names.map((name) => rawHeader({ name, flag: name.endsWith("/") ? "5" : "0" })))),
    );
    expect(found.map((member) => member.entry.path.toString())).toEqual([
      "",
      "a/b",
      "dir",
      "/etc/passwd",
      "../up",
      "a//b",
      "a/./b",
    ]);
  });

  test("FIFOs, devices and unknown flags are reported and passed over, their data too", async () => {
    const skipped: string[] = [];
    const found = await readAll(
      pieces(
        archive(
          rawHeader({ name: "fifo", flag: "6" }),
          rawHeader({ name: "volume", flag: "V", size: 600 }),
          padded(noise(600)),
          rawHeader({ name: "null", flag: "3" }),
          rawHeader({ name: "kept", size: 3 }),
          padded("abc"),
        ),
      ),
      (path, flag) => skipped.push(`${flag} ${path.toString()}`),
    );
    expect(skipped).toEqual(["6 fifo", "V volume", "3 null"]);
    expect(found.map((member) => member.body.toString())).toEqual(["abc"]);
  });
});

test("bodies may be left unread, wholly or in part", async () => {
  const bytes = tarOf(
    [entry("a", { size: 5000 }), noise(5000)],
    [entry("b", { size: 5000 }), noise(5000)],
    [entry("c")],
  );
  const names: string[] = [];
  for await (const member of parseTar(pieces(bytes, 999))) {
    names.push(member.entry.path.toString());
    if (names.length === 2) for await (const _chunk of member.body) break;
  }
  expect(names).toEqual(["a", "b", "c"]);
});

test("a body that is held comes as one slice", async () => {
  const slices: number[] = [];
  for await (const member of parseTar(pieces(tarOf([entry("a", { size: 900 }), noise(900)])))) {
    for await (const chunk of member.body) slices.push(chunk.length);
  }
  expect(slices).toEqual([900]);
});

test("an archive cut anywhere is truncated, never shorter", async () => {
  const runs = [{ offset: 100, length: 700 }];
  const bytes = tarOf(
    [entry("a", { size: 700 }), noise(700)],
    [entry("n".repeat(200))],
    [entry("s", { size: 4000, sparse: runs }), noise(700)],
  );
  expect((await readAll(pieces(bytes))).length).toBe(3);
  for (let cut = 0; cut < bytes.length; cut += 37) {
    expect(await codeOf(readAll(pieces(bytes.subarray(0, cut))))).toBe("ARCHIVE_TRUNCATED");
  }
  expect(await codeOf(readAll(pieces(bytes.subarray(0, -1))))).toBe("ARCHIVE_TRUNCATED");
});

test("zeros may follow the archive, other bytes may not", async () => {
  const bytes = tarOf([entry("a")]);
  expect((await readAll(pieces(Buffer.concat([bytes, Buffer.alloc(9001)]), 1000))).length).toBe(1);
  expect(await codeOf(readAll(pieces(Buffer.concat([bytes, Buffer.alloc(600), Buffer.from("x")]))))).toBe(
    "TRAILING_DATA",
  );
});

describe("malformed archives are refused", () => {
  const flipped = () => {
    const bytes = tarOf([entry("a")]);
    bytes[1] = 0x62;
    return bytes;
  };
  const sparse = (map: string, size: number) =>
    archive(
      pax(
        "x",
        paxRecord("GNU.sparse.major", "1"),
        paxRecord("GNU.sparse.minor", "0"),
        paxRecord("GNU.sparse.realsize", "9000"),
      ),
      rawHeader({ name: "s", size }),
      padded(map),
      noise(512),
    );
  test.each([
    ["a wrong checksum", flipped()],
    ["a pax header beyond 1 MiB", archive(rawHeader({ name: "x", flag: "x", size: 1024 * 1024 + 1 }))],
    ["a long name beyond 1 MiB", archive(rawHeader({ name: "x", flag: "L", size: 2 ** 32 }))],
    ["a pax record that lies about its length", archive(pax("x", "99 path=a\n"), rawHeader({ name: "a" }))],
    ["a pax record of length 0", archive(pax("x", "0 path=a\n"), rawHeader({ name: "a" }))],
    ["a pax record without a value", archive(pax("x", "7 path\n"), rawHeader({ name: "a" }))],
    ["a size that is no number", archive(pax("x", paxRecord("size", "-1")), rawHeader({ name: "a" }))],
    ["a time that is no number", archive(pax("x", paxRecord("mtime", "soon")), rawHeader({ name: "a" }))],
    ["a negative base-256 size", archive(rawHeader({ name: "a", size: Buffer.alloc(12, 0xff) }))],
    ["a link with data", archive(rawHeader({ name: "a", flag: "1", link: "b", size: 5 }), padded("hello"))],
    ["a lone zero block", Buffer.concat([Buffer.alloc(512), rawHeader({ name: "a" }), TAR_END])],
    ["sparse runs that overlap", sparse("2\n0\n300\n200\n212\n", 1024)],
    ["sparse runs beyond the end", sparse("1\n8999\n512\n", 1024)],
    ["sparse runs that do not add up", sparse("1\n0\n100\n", 1024)],
    ["a sparse map with too many runs", sparse("999999999\n", 1024)],
    ["a sparse map that is no map", sparse("hello\n", 1024)],
    ["a sparse map longer than its file", sparse("900\n0\n1\n", 512)],
  ])("%s", async (_what, bytes) => {
    expect(await codeOf(readAll(pieces(bytes, 512)))).toBe("ARCHIVE_MALFORMED");
  });
});

test("no mutation of headers does more than throw one of our errors", async () => {
  const whole = tarOf(
    [entry("n".repeat(150), { size: 600, mtimeNs: 1n }), noise(600)],
    [entry("s", { size: 4000, sparse: [{ offset: 100, length: 700 }] }), noise(700)],
    [entry("l", { type: "symlink", linkTarget: Buffer.from("target") })],
  );
  const blocks = whole.length / 512;
  const change = fc.tuple(
    fc.nat(blocks - 1),
    fc.nat(511),
    fc.oneof(fc.nat(255), fc.constantFrom(0, 0x30, 0x37, 0x80, 0xff)),
  );
  let accepted = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 6 }), async (changes) => {
      const damaged = Buffer.from(whole);
      for (const [block, at, byte] of changes) {
        damaged[block * 512 + at] = byte;
        resum(damaged.subarray(block * 512, (block + 1) * 512));
      }
      const code = await codeOf(readAll(pieces(damaged, 1000)));
      if (code === "none") accepted += 1;
    }),
    { numRuns: 1000 },
  );
  expect(accepted).toBeGreaterThan(0);
});

/** Makes a changed header block pass for one again. */
function resum(block: Buffer): void {
  if (block.subarray(257, 262).toString() !== "ustar") return;
  block.write(`${checksum(block).toString(8).padStart(6, "0")}\0 `, 148, "latin1");
}
