import { zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { XVaultError, type ByteSink } from "@xvault/kernel";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { codeOf, memoryReader, memorySink, noise, pieces } from "../../test/support.ts";
import { compressFrames } from "./compress.ts";
import { openFrames } from "./open.ts";
import { encodeSeekTable } from "./seek-table.ts";
import { rawFrame } from "./zstd.ts";

async function compressed(plain: Buffer, frameBytes: number, step = 10_000): Promise<Buffer> {
  const sink = memorySink();
  const frames = compressFrames(sink, { frameBytes });
  for await (const piece of pieces(plain, step)) await frames.write(piece);
  await frames.close();
  expect(sink.closed).toBe(true);
  expect(frames.compressedBytes).toBe(sink.bytes().length);
  expect(frames.plainBytes).toBe(plain.length);
  return sink.bytes();
}

const text = (length: number) => Buffer.alloc(length, "the quick brown fox jumps over the lazy dog, ");

test("any range of what was written comes back, whatever the frame size", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.nat(60_000),
      fc.integer({ min: 100, max: 9000 }),
      fc.nat(),
      fc.nat(),
      async (length, frame, a, b) => {
        const plain = Buffer.concat([noise(length >> 1), text(length - (length >> 1))]);
        const reader = await openFrames(memoryReader(await compressed(plain, frame)));
        expect(reader.size).toBe(length);
        const [from, to] = [a % (length + 1), b % (length + 1)].sort((x, y) => x - y) as [number, number];
        expect(await reader.read(from, to - from)).toEqual(plain.subarray(from, to));
        expect(await codeOf(reader.read(from, length - from + 1))).toBe("ARCHIVE_TRUNCATED");
      },
    ),
    { numRuns: 60 },
  );
});

test("one small read touches the table and one frame", async () => {
  const source = memoryReader(await compressed(Buffer.concat([noise(400_000), text(400_000)]), 100_000));
  const reader = await openFrames(source);
  const before = source.reads.length;
  await Promise.all([reader.read(350_010, 20), reader.read(350_500, 20)]);
  expect(source.reads.length - before).toBe(1);
  expect(source.reads.at(-1)?.length).toBeLessThan(101_000);
});

test("a table larger than the first read of the end is read wholly", async () => {
  const plain = text(90_000);
  const reader = await openFrames(memoryReader(await compressed(plain, 9)));
  expect(await reader.read(44_000, 50)).toEqual(plain.subarray(44_000, 44_050));
});

test("what does not compress is stored as it is, in frames that zstd knows", async () => {
  const plain = noise(1_000_000);
  const packed = await compressed(plain, 300_000);
  expect(packed.length).toBeLessThan(plain.length + 200);
  const reader = await openFrames(memoryReader(packed));
  expect(await reader.read(0, reader.size)).toEqual(plain);
  for (const length of [0, 1, 128 * 1024, 128 * 1024 + 1]) {
    expect(zstdDecompressSync(rawFrame(noise(length)))).toEqual(noise(length));
  }
});

test("nothing written gives a table without frames", async () => {
  const reader = await openFrames(memoryReader(await compressed(Buffer.alloc(0), 1000)));
  expect(reader.size).toBe(0);
  expect((await reader.read(0, 0)).length).toBe(0);
});

test("a slow sink holds the writer back, and order is kept", async () => {
  let waiting: (() => void) | null = null;
  const taken: Buffer[] = [];
  const slow: ByteSink = {
    write: (chunk) =>
      new Promise<void>((resolve) => {
        taken.push(chunk);
        waiting = resolve;
      }),
    close: async () => {},
  };
  const frames = compressFrames(slow, { frameBytes: 1000 });
  const plain = noise(10_000);
  let accepted = 0;
  const writing = (async () => {
    for await (const piece of pieces(plain, 1000)) {
      await frames.write(piece);
      accepted += 1;
    }
    await frames.close();
  })();
  await until(() => waiting !== null);
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(accepted).toBeLessThanOrEqual(3);
  const opening = setInterval(() => waiting?.(), 1);
  await writing.finally(() => clearInterval(opening));
  const reader = await openFrames(memoryReader(Buffer.concat(taken)));
  expect(await reader.read(0, reader.size)).toEqual(plain);
});

test("a sink that fails makes the writer fail with its error", async () => {
  const broken: ByteSink = {
    write: () => Promise.reject(new XVaultError("SPACE_REQUIRED")),
    close: async () => {},
  };
  const frames = compressFrames(broken, { frameBytes: 100 });
  const writing = (async () => {
    for (let i = 0; i < 10; i += 1) await frames.write(noise(100));
    await frames.close();
  })();
  expect(await codeOf(writing)).toBe("SPACE_REQUIRED");
});

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1));
}

describe("hostile and damaged files", () => {
  const file = (frames: { packed: Buffer; plain: number; compressed?: number }[]) =>
    memoryReader(
      Buffer.concat([
        ...frames.map((frame) => frame.packed),
        encodeSeekTable(
          frames.map((frame) => ({ compressed: frame.compressed ?? frame.packed.length, plain: frame.plain })),
        ),
      ]),
    );
  const readWhole = async (source: ReturnType<typeof memoryReader>) => {
    const reader = await openFrames(source);
    await reader.read(0, reader.size);
  };
  const good = zstdCompressSync(text(5000));

  test("a good one opens (control)", async () => {
    expect(await codeOf(readWhole(file([{ packed: good, plain: 5000 }])))).toBe("none");
  });

  test("a bomb expands no further than its table says", async () => {
    const bomb = zstdCompressSync(Buffer.alloc(512 * 1024 * 1024), { chunkSize: 1024 * 1024 });
    expect(bomb.length).toBeLessThan(100_000);
    const before = process.memoryUsage().rss;
    for (let i = 0; i < 5; i += 1) {
      expect(await codeOf(readWhole(file([{ packed: bomb, plain: 100_000 }])))).toBe("EXPANSION_LIMIT");
    }
    expect(process.memoryUsage().rss - before).toBeLessThan(128 * 1024 * 1024);
  });

  test("a table that announces a huge frame is refused before anything is expanded", async () => {
    expect(await codeOf(openFrames(file([{ packed: good, plain: 1024 ** 3 }])))).toBe("EXPANSION_LIMIT");
  });

  test("a frame that asks for a large window is refused", async () => {
    // No content size, window descriptor for 128 MiB (2^(10 + 17)), one raw block of 4 bytes.
    const framed = (descriptor: number) => Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0, descriptor, 0x21, 0, 0, 1, 2, 3, 4]);
    expect(await codeOf(readWhole(file([{ packed: framed(14 << 3), plain: 4 }])))).toBe("none");
    const wide = framed(17 << 3);
    expect(await codeOf(readWhole(file([{ packed: wide, plain: 4 }])))).toBe("WINDOW_TOO_LARGE");
  });

  test.each([
    ["a frame that holds more", [{ packed: good, plain: 4999 }], "EXPANSION_LIMIT"],
    ["a frame that holds less", [{ packed: good, plain: 5001 }], "ARTIFACT_CORRUPT"],
    ["a frame that is none", [{ packed: noise(good.length), plain: 5000 }], "ARTIFACT_CORRUPT"],
    ["a frame cut short", [{ packed: good.subarray(0, -3), plain: 5000 }], "ARTIFACT_CORRUPT"],
    ["sizes that do not add up", [{ packed: good, plain: 5000, compressed: good.length - 1 }], "ARCHIVE_MALFORMED"],
    ["a frame larger than its content", [{ packed: noise(9000), plain: 10 }], "ARCHIVE_MALFORMED"],
  ])("%s", async (_what, frames, code) => {
    expect(await codeOf(readWhole(file(frames)))).toBe(code);
  });

  test("no mutation of a file does more than throw one of our errors", async () => {
    const plain = Buffer.concat([text(5000), noise(3000)]);
    const whole = await compressed(plain, 2000);
    await fc.assert(
      fc.asyncProperty(
        fc.nat(whole.length - 1),
        fc.integer({ min: 1, max: 255 }),
        fc.nat(whole.length - 1),
        async (at, flip, cut) => {
          const damaged = Buffer.from(whole);
          damaged[at] = (damaged[at] ?? 0) ^ flip;
          await codeOf(readWhole(memoryReader(damaged)));
          expect(await codeOf(readWhole(memoryReader(whole.subarray(0, cut))))).toMatch(/^ARCHIVE_/);
        },
      ),
      { numRuns: 200 },
    );
  });
});
