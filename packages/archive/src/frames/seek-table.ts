import { XVaultError } from "@xvault/kernel";
import { malformed } from "../failures.ts";

const SKIPPABLE = 0x184d2a5e;
const FOOTER = 0x8f92eab1;
const FOOTER_BYTES = 9;
const CHECKSUM_FLAG = 0x80;
const RESERVED_BITS = 0x7c;

/** More frames than this are not read, and so not written: 16 TiB in frames of 2 MiB. */
export const MAX_FRAMES = 8 * 1024 * 1024;

/** Refuses to write what no reader would open. @throws EXPANSION_LIMIT */
export function checkFrameCount(count: number): void {
  if (count <= MAX_FRAMES) return;
  throw new XVaultError("EXPANSION_LIMIT", "There is more to back up than fits into one snapshot (16 TiB).", {
    fix: "Divide the paths among several sources.",
  });
}

/** One frame: its bytes in the file and the bytes it holds. */
export interface FrameSize {
  compressed: number;
  plain: number;
}

/**
 * The seek table of the zstd seekable format, as the skippable frame that ends the file: 8 bytes of skippable header, two
 * 32-bit sizes a frame, then the number of frames, a descriptor (0: no checksums) and the magic number. Little-endian.
 */
export function encodeSeekTable(frames: readonly FrameSize[]): Buffer {
  const body = frames.length * 8 + FOOTER_BYTES;
  const table = Buffer.alloc(8 + body);
  table.writeUInt32LE(SKIPPABLE, 0);
  table.writeUInt32LE(body, 4);
  let at = 8;
  for (const frame of frames) {
    table.writeUInt32LE(frame.compressed, at);
    table.writeUInt32LE(frame.plain, at + 4);
    at += 8;
  }
  table.writeUInt32LE(frames.length, at);
  table.writeUInt8(0, at + 4);
  table.writeUInt32LE(FOOTER, at + 5);
  return table;
}

/** Bytes of the whole table, told from the last bytes of the file. */
export function seekTableLength(tail: Buffer, fileSize: number): number {
  const footer = readFooter(tail);
  const length = 8 + footer.count * footer.entryBytes + FOOTER_BYTES;
  if (length > fileSize) throw malformed("its seek table is larger than the file");
  return length;
}

/** Where each frame begins, in the file and in what it expands to. Both arrays end with the total. */
export interface SeekTable {
  compressed: Float64Array;
  plain: Float64Array;
}

/** Decodes a whole table whose frames must fill `dataBytes` exactly. */
export function decodeSeekTable(table: Buffer, dataBytes: number): SeekTable {
  const { count, entryBytes } = readFooter(table);
  if (table.readUInt32LE(0) !== SKIPPABLE || table.readUInt32LE(4) !== table.length - 8) {
    throw malformed("its seek table is not a skippable frame of its size");
  }
  const compressed = new Float64Array(count + 1);
  const plain = new Float64Array(count + 1);
  for (let i = 0; i < count; i += 1) {
    const at = 8 + i * entryBytes;
    compressed[i + 1] = (compressed[i] ?? 0) + table.readUInt32LE(at);
    plain[i + 1] = (plain[i] ?? 0) + table.readUInt32LE(at + 4);
  }
  if (compressed[count] !== dataBytes) throw malformed("its seek table does not add up to the file");
  return { compressed, plain };
}

function readFooter(bytes: Buffer): { count: number; entryBytes: number } {
  if (bytes.length < FOOTER_BYTES + 8) throw malformed("it is too short for a seek table");
  const at = bytes.length - FOOTER_BYTES;
  if (bytes.readUInt32LE(at + 5) !== FOOTER) throw malformed("it does not end with a seek table");
  const descriptor = bytes.readUInt8(at + 4);
  if (descriptor & RESERVED_BITS) throw malformed("its seek table has reserved bits set");
  const count = bytes.readUInt32LE(at);
  if (count > MAX_FRAMES) throw malformed("its seek table has too many frames");
  return { count, entryBytes: descriptor & CHECKSUM_FLAG ? 12 : 8 };
}
