import type { ByteReader, ByteSink } from "@xvault/kernel";
import { createHash } from "node:crypto";

/** A sink that keeps every write. */
export function memorySink(): ByteSink & { writes: Buffer[]; closed: boolean; bytes(): Buffer } {
  const sink = {
    writes: [] as Buffer[],
    closed: false,
    write(chunk: Buffer) {
      sink.writes.push(chunk);
    },
    async close() {
      sink.closed = true;
    },
    bytes: () => Buffer.concat(sink.writes),
  };
  return sink;
}

/** A reader over bytes in memory that notes every ranged read. */
export function memoryReader(bytes: Buffer): ByteReader & { reads: { offset: number; length: number }[] } {
  const reads: { offset: number; length: number }[] = [];
  return {
    size: bytes.length,
    reads,
    async read(offset, length) {
      reads.push({ offset, length });
      if (offset < 0 || offset + length > bytes.length)
        throw new Error(`a read outside the object: ${offset}+${length}`);
      return Buffer.from(bytes.subarray(offset, offset + length));
    },
  };
}

/** `length` bytes that look random and are the same every time. */
export function patternBytes(length: number): Buffer {
  const blocks: Buffer[] = [];
  for (let at = 0; at < length; at += 32) blocks.push(createHash("sha256").update(`block ${at}`).digest());
  return Buffer.concat(blocks).subarray(0, length);
}

/** Sizes at and around every border of the age payload's chunks, and of mebibytes. */
export const BORDER_SIZES = [
  0, 1, 65_535, 65_536, 65_537, 131_071, 131_072, 131_073, 1_048_575, 1_048_576, 1_048_577, 1_114_112, 2_097_152,
  2_097_153,
];
