import { XVaultError, type ByteReader } from "@xvault/kernel";
import { malformed, truncated } from "../failures.ts";
import { LoadCache } from "../lru.ts";
import { decodeSeekTable, seekTableLength, type SeekTable } from "./seek-table.ts";
import { expandFrame, MAX_FRAME_BYTES } from "./zstd.ts";

/** Read from the end at first: holds the table of an artifact of 16 GiB. Bytes. */
const TAIL = 64 * 1024;
const CACHED_BYTES = 12 * 1024 * 1024;

/**
 * Random access to what a file of zstd frames with a seek table expands to. Memory is bounded by a few frames, whatever the file
 * says: up to `cachedBytes` of them (default 12 MiB), but always two.
 *
 * @throws ARCHIVE_MALFORMED when the table is missing or does not add up; reads throw EXPANSION_LIMIT, WINDOW_TOO_LARGE,
 * ARTIFACT_CORRUPT for the frame they meet, and ARCHIVE_TRUNCATED beyond the end.
 */
export async function openFrames(zstd: ByteReader, options: { cachedBytes?: number } = {}): Promise<ByteReader> {
  const tailLength = Math.min(zstd.size, TAIL);
  let tail = await zstd.read(zstd.size - tailLength, tailLength);
  const length = seekTableLength(tail, zstd.size);
  if (length > tail.length) {
    const head = await zstd.read(zstd.size - length, length - tail.length);
    tail = Buffer.concat([head, tail]);
  }
  const table = decodeSeekTable(tail.subarray(tail.length - length), zstd.size - length);
  return new FrameReader(zstd, table, (options.cachedBytes ?? CACHED_BYTES) / largestFrame(table));
}

function largestFrame(table: SeekTable): number {
  let largest = 1;
  for (let i = 0; i + 1 < table.plain.length; i += 1) {
    const plain = (table.plain[i + 1] ?? 0) - (table.plain[i] ?? 0);
    const compressed = (table.compressed[i + 1] ?? 0) - (table.compressed[i] ?? 0);
    if (plain > MAX_FRAME_BYTES) throw new XVaultError("EXPANSION_LIMIT", undefined, { data: { frame: i } });
    if (compressed > plain + (plain >> 6) + 1024) throw malformed(`frame ${i} is larger than what it holds`);
    if (plain > largest) largest = plain;
  }
  return largest;
}

class FrameReader implements ByteReader {
  readonly #zstd: ByteReader;
  readonly #table: SeekTable;
  readonly #cache: LoadCache<Buffer>;
  readonly size: number;

  constructor(zstd: ByteReader, table: SeekTable, frames: number) {
    this.#zstd = zstd;
    this.#table = table;
    this.#cache = new LoadCache(Math.min(64, Math.max(2, Math.floor(frames))));
    this.size = table.plain.at(-1) ?? 0;
  }

  async read(offset: number, length: number): Promise<Buffer> {
    if (offset < 0 || length < 0 || offset + length > this.size) throw truncated("a read goes beyond its end");
    if (length === 0) return Buffer.alloc(0);
    const end = offset + length;
    const first = this.#frameAt(offset);
    if (end <= this.#start(first + 1)) {
      const at = offset - this.#start(first);
      return (await this.#frame(first)).subarray(at, at + length);
    }
    const out = Buffer.allocUnsafe(length);
    let ahead = this.#frame(first);
    for (let i = first; this.#start(i) < end; i += 1) {
      const frame = ahead;
      if (this.#start(i + 1) < end) ahead = this.#frame(i + 1);
      const from = Math.max(0, offset - this.#start(i));
      (await frame).copy(out, this.#start(i) + from - offset, from);
    }
    return out;
  }

  #start(frame: number): number {
    return this.#table.plain[frame] ?? 0;
  }

  /** The last frame that begins at or before `offset` (empty frames are passed over). */
  #frameAt(offset: number): number {
    let low = 0;
    let high = this.#table.plain.length - 1;
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if (this.#start(middle) <= offset) low = middle;
      else high = middle;
    }
    return low;
  }

  #frame(index: number): Promise<Buffer> {
    return this.#cache.peek(index) ?? this.#cache.put(index, this.#load(index));
  }

  async #load(index: number): Promise<Buffer> {
    const start = this.#table.compressed[index] ?? 0;
    const end = this.#table.compressed[index + 1] ?? 0;
    const size = this.#start(index + 1) - this.#start(index);
    if (size === 0) return Buffer.alloc(0);
    return expandFrame(await this.#zstd.read(start, end - start), size, index);
  }
}
