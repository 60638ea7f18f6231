import { promisify } from "node:util";
import { constants, zstdCompress, zstdCompressSync, zstdDecompress, type ZstdOptions } from "node:zlib";
import { lend, XVaultError } from "@xvault/kernel";
import { corrupt } from "../failures.ts";

const compressAsync = promisify<Buffer, ZstdOptions, Buffer>(zstdCompress);
const decompressAsync = promisify<Buffer, ZstdOptions, Buffer>(zstdDecompress);

/** The most a frame may hold. Reader and writer agree on it, so memory is bounded. Bytes. */
export const MAX_FRAME_BYTES = 16 * 1024 * 1024;
const WINDOW_LOG_MAX = 24;
const RAW_BLOCK = 128 * 1024;
const WORTH_A_SAMPLE = 0.9;
const SAMPLES = 8;
const SAMPLE_BYTES = 8 * 1024;

/**
 * Compresses `plain` into one zstd frame that states its size, on the thread pool. `share` is a guess at what is left of a byte: memory for so
 * much is taken, and for as much again where it was too low. Where little is expected to be gained, a sample is looked at first, and what does
 * not compress is stored as it is.
 */
export async function compressFrame(plain: Buffer, level: number, share: number): Promise<Buffer> {
  if (share > WORTH_A_SAMPLE && looksIncompressible(plain)) return lend(rawFrame(plain));
  const room = Math.ceil(plain.length * share);
  const packed = await compressAsync(plain, {
    // One output chunk for the whole frame: with the default of 16 KiB this takes two thirds longer.
    chunkSize: Math.min(plain.length + 65_536, Math.max(65_536, room)),
    pledgedSrcSize: plain.length,
    params: { [constants.ZSTD_c_compressionLevel]: level },
  });
  return lend(packed);
}

function looksIncompressible(plain: Buffer): boolean {
  if (plain.length < SAMPLES * SAMPLE_BYTES * 2) return false;
  const step = Math.floor((plain.length - SAMPLE_BYTES) / (SAMPLES - 1));
  const sample = Buffer.concat(
    Array.from({ length: SAMPLES }, (_, i) => plain.subarray(i * step, i * step + SAMPLE_BYTES)),
  );
  const packed = zstdCompressSync(sample, {
    chunkSize: sample.length * 2,
    params: { [constants.ZSTD_c_compressionLevel]: 1 },
  });
  return packed.length > sample.length * 0.98;
}

/** A zstd frame of raw blocks (RFC 8878, 3.1.1): single segment, content size in four bytes, no checksum. */
export function rawFrame(plain: Buffer): Buffer {
  const blocks = Math.max(1, Math.ceil(plain.length / RAW_BLOCK));
  const frame = Buffer.allocUnsafe(9 + blocks * 3 + plain.length);
  frame.writeUInt32LE(0xfd2fb528, 0);
  frame.writeUInt8(0xa0, 4);
  frame.writeUInt32LE(plain.length, 5);
  let at = 9;
  for (let i = 0; i < blocks; i += 1) {
    const block = plain.subarray(i * RAW_BLOCK, (i + 1) * RAW_BLOCK);
    frame.writeUIntLE((block.length << 3) | (i === blocks - 1 ? 1 : 0), at, 3);
    block.copy(frame, at + 3);
    at += 3 + block.length;
  }
  return frame;
}

/**
 * Expands one frame to exactly `size` bytes.
 *
 * @throws EXPANSION_LIMIT when it holds more, WINDOW_TOO_LARGE, ARTIFACT_CORRUPT for anything else. `at` names the frame.
 */
export async function expandFrame(packed: Buffer, size: number, at: number): Promise<Buffer> {
  let plain: Buffer;
  try {
    plain = await decompressAsync(packed, {
      chunkSize: Math.max(64, size),
      maxOutputLength: Math.max(1, size),
      params: { [constants.ZSTD_d_windowLogMax]: WINDOW_LOG_MAX },
    });
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code === "ERR_BUFFER_TOO_LARGE") throw new XVaultError("EXPANSION_LIMIT", undefined, { data: { frame: at } });
    if (code === "ZSTD_error_frameParameter_windowTooLarge") {
      throw new XVaultError("WINDOW_TOO_LARGE", undefined, { data: { frame: at } });
    }
    throw corrupt(`frame ${at} cannot be decompressed`, { frame: at }, error);
  }
  if (plain.length !== size) throw corrupt(`frame ${at} holds ${plain.length} bytes, not ${size}`, { frame: at });
  return plain;
}
