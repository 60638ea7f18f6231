import type { ByteReader } from "@xvault/kernel";
import { corrupt, truncated } from "../failures.ts";
import { LoadCache } from "../lru.ts";
import { HASH_BYTES, merkleRoot, sha256 } from "./merkle.ts";

/** Neighbouring blocks that are missing are read together, up to this many. */
const TOGETHER = 4;
const CACHED = 8;
/** Blocks are held whole: a manifest that claims larger ones is not believed. Bytes. */
const MAX_BLOCK_BYTES = 16 * 1024 * 1024;

/** What a signed manifest says about the bytes. */
export interface ExpectedBlocks {
  /** Merkle root over the leaves, hex. */
  root: string;
  sizeBytes: number;
  blockBytes: number;
}

/**
 * A view of `reader` that gives out no byte of a block before the whole block was checked against its leaf, and the leaves
 * against the root (promise 14). A block that does not match is read once more before it is called corrupt (promise 18). The blocks
 * read last are held, `cachedBlocks` of them (default 8).
 *
 * @throws ARTIFACT_CORRUPT at once when leaves and root disagree, and on reads with the block's number in `data.block`;
 * ARCHIVE_TRUNCATED when the stored object is shorter than it should be. Errors of `reader` pass through.
 */
export function verifiedReader(
  reader: ByteReader,
  leaves: Buffer,
  expected: ExpectedBlocks,
  options: { cachedBlocks?: number } = {},
): ByteReader {
  const { sizeBytes, blockBytes } = expected;
  if (reader.size < sizeBytes) throw truncated(`${reader.size} bytes are stored of ${sizeBytes}`);
  if (reader.size > sizeBytes) throw corrupt(`${reader.size} bytes are stored instead of ${sizeBytes}`);
  if (!(blockBytes >= 1 && blockBytes <= MAX_BLOCK_BYTES)) throw corrupt(`its blocks have ${blockBytes} bytes`);
  const count = Math.ceil(sizeBytes / blockBytes);
  if (leaves.length !== count * HASH_BYTES) throw corrupt("the list of block hashes has the wrong length");
  if (merkleRoot(leaves) !== expected.root) throw corrupt("the list of block hashes does not belong to the manifest");
  return new VerifiedReader(reader, leaves, blockBytes, options.cachedBlocks ?? CACHED);
}

class VerifiedReader implements ByteReader {
  readonly #reader: ByteReader;
  readonly #leaves: Buffer;
  readonly #blockBytes: number;
  readonly #cache: LoadCache<Buffer>;
  readonly size: number;

  constructor(reader: ByteReader, leaves: Buffer, blockBytes: number, cached: number) {
    this.#reader = reader;
    this.#leaves = leaves;
    this.#blockBytes = blockBytes;
    this.#cache = new LoadCache(cached);
    this.size = reader.size;
  }

  async read(offset: number, length: number): Promise<Buffer> {
    if (offset < 0 || length < 0 || offset + length > this.size) throw truncated("a read goes beyond its end");
    if (length === 0) return Buffer.alloc(0);
    const end = offset + length;
    const first = Math.floor(offset / this.#blockBytes);
    const last = Math.floor((end - 1) / this.#blockBytes);
    if (first === last) {
      const at = offset - first * this.#blockBytes;
      const [block] = this.#blocks(first, first);
      return (await (block ?? Promise.reject(new Error("no block")))).subarray(at, at + length);
    }
    const out = Buffer.allocUnsafe(length);
    for (let from = first; from <= last; from += TOGETHER) {
      const blocks = await Promise.all(this.#blocks(from, Math.min(last, from + TOGETHER - 1)));
      for (const [i, block] of blocks.entries()) {
        const start = (from + i) * this.#blockBytes;
        const skip = Math.max(0, offset - start);
        block.copy(out, start + skip - offset, skip);
      }
    }
    return out;
  }

  /** Blocks `first` to `last`; those not held are read in runs. */
  #blocks(first: number, last: number): Promise<Buffer>[] {
    const blocks: Promise<Buffer>[] = [];
    for (let i = first; i <= last;) {
      const held = this.#cache.peek(i);
      if (held) {
        blocks.push(held);
        i += 1;
        continue;
      }
      let end = i + 1;
      while (end <= last && !this.#cache.peek(end)) end += 1;
      const start = i;
      const run = this.#fetch(start, end - 1);
      for (; i < end; i += 1) {
        const index = i;
        blocks.push(this.#cache.put(index, this.#take(run, start, index)));
      }
    }
    return blocks;
  }

  async #take(run: Promise<Buffer>, start: number, index: number): Promise<Buffer> {
    const at = (index - start) * this.#blockBytes;
    const block = (await run).subarray(at, at + this.#blockBytes);
    if (this.#matches(block, index)) return block;
    const again = await this.#fetch(index, index);
    if (this.#matches(again, index)) return again;
    throw corrupt(`block ${index} does not match its hash`, { block: index });
  }

  #fetch(first: number, last: number): Promise<Buffer> {
    const start = first * this.#blockBytes;
    return this.#reader.read(start, Math.min(this.size, (last + 1) * this.#blockBytes) - start);
  }

  #matches(block: Buffer, index: number): boolean {
    return sha256(block).equals(this.#leaves.subarray(index * HASH_BYTES, (index + 1) * HASH_BYTES));
  }
}
