import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Attrs, PacketReader, PacketSplitter, PacketWriter, kindOf } from "./packets.ts";

const u32 = fc.integer({ min: 0, max: 0xffffffff });
const attrs: fc.Arbitrary<Attrs> = fc
  .record(
    {
      size: fc.maxSafeNat(),
      owner: fc.record({ uid: u32, gid: u32 }),
      mode: u32,
      times: fc.record({ atime: u32, mtime: u32 }),
    },
    { requiredKeys: [] },
  )
  .map(({ owner, times, ...rest }) => ({ ...rest, ...owner, ...times }));

describe("packets", () => {
  it("come back as they were written, however the stream is cut", () => {
    const packet = fc.record({ name: fc.uint8Array({ maxLength: 300 }), attrs, number: fc.maxSafeNat() });
    fc.assert(
      fc.property(fc.array(packet, { maxLength: 20 }), fc.integer({ min: 1, max: 400 }), (packets, step) => {
        const stream = Buffer.concat(
          packets.map((one) =>
            new PacketWriter().u8(9).string(Buffer.from(one.name)).attrs(one.attrs).u64(one.number).finish(),
          ),
        );
        const found: typeof packets = [];
        const splitter = new PacketSplitter((bytes) => {
          const fields = new PacketReader(bytes, 1);
          found.push({ name: new Uint8Array(fields.string()), attrs: fields.attrs(), number: fields.u64() });
          expect(fields.left).toBe(0);
        });
        for (let at = 0; at < stream.length; at += step) splitter.push(stream.subarray(at, at + step));
        expect(found).toEqual(packets);
      }),
    );
  });

  it("that are malformed are refused", () => {
    const splitter = new PacketSplitter(() => {});
    expect(() => splitter.push(Buffer.from([0xff, 0xff, 0xff, 0xff]))).toThrow(RangeError);
    expect(() => new PacketSplitter(() => {}).push(Buffer.alloc(4))).toThrow(RangeError);
    expect(() => new PacketReader(Buffer.from([0, 0, 0, 9, 1])).string()).toThrow(RangeError);
    expect(() => new PacketReader(Buffer.from([0])).u32()).toThrow(RangeError);
  });

  it("skip what extends attributes", () => {
    const bytes = new PacketWriter().u32(0x80000004).u32(0o100644).u32(1).string("key").string("value").u8(7).finish();
    const fields = new PacketReader(bytes, 4);
    expect(fields.attrs()).toEqual({ mode: 0o100644 });
    expect(fields.left).toBe(1);
  });

  it("tell what a thing is", () => {
    const kinds = [0o100644, 0o040755, 0o120777, 0o010644, 0o140755, 0o060660, 0o644].map((mode) => kindOf({ mode }));
    expect(kinds).toEqual(["file", "dir", "symlink", "other", "other", "other", "unknown"]);
    expect(kindOf({})).toBe("unknown");
  });
});
