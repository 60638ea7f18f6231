import { createHash, type Hash } from "node:crypto";
import type { ByteSink } from "@xvault/kernel";
import { MerkleTree } from "./merkle.ts";

/** The unit by which stored bytes are checked. Bytes. */
export const BLOCK_BYTES = 1024 * 1024;
/** The longest list of block hashes that is read: of 32 TiB, more than the largest artifact that is written. Bytes. */
export const MAX_LEAVES_BYTES = 1024 * 1024 * 1024;

const LEAVES_AT_ONCE = 128;

/** What a {@link BlockHasher} found. */
export interface BlockHashes {
  sizeBytes: number;
  /** Of all bytes, hex. */
  sha256: string;
  blockCount: number;
  /** Merkle root (RFC 6962) over the blocks' SHA-256, hex. */
  root: string;
}

export interface BlockHasher extends ByteSink {
  /** To be asked after `close`. */
  result(): BlockHashes;
}

/**
 * Passes bytes on to `next` while hashing them as a whole and block by block; the blocks' hashes, 32 bytes each, go to
 * `leaves`. Closing closes both, `next` first.
 */
export function hashBlocks(next: ByteSink, leaves: ByteSink, blockBytes: number = BLOCK_BYTES): BlockHasher {
  const whole = createHash("sha256");
  const tree = new MerkleTree();
  let block: Hash | null = null;
  let inBlock = 0;
  let sizeBytes = 0;
  let pending: Buffer[] = [];
  let result: BlockHashes | null = null;

  const endBlock = () => {
    if (!block) return;
    const leaf = block.digest();
    tree.add(leaf);
    pending.push(leaf);
    block = null;
    inBlock = 0;
  };
  const flushLeaves = async () => {
    const batch = Buffer.concat(pending);
    pending = [];
    if (batch.length > 0) await leaves.write(batch);
  };

  return {
    write(chunk) {
      whole.update(chunk);
      sizeBytes += chunk.length;
      for (let at = 0; at < chunk.length;) {
        block ??= createHash("sha256");
        const part = chunk.subarray(at, at + blockBytes - inBlock);
        block.update(part);
        inBlock += part.length;
        at += part.length;
        if (inBlock === blockBytes) endBlock();
      }
      if (pending.length >= LEAVES_AT_ONCE) return flushLeaves().then(() => next.write(chunk));
      return next.write(chunk);
    },
    async close() {
      endBlock();
      await flushLeaves();
      result = { sizeBytes, sha256: whole.digest("hex"), blockCount: tree.count, root: tree.root() };
      await next.close();
      await leaves.close();
    },
    result() {
      if (!result) throw new Error("the block hashes are known once the sink is closed");
      return result;
    },
  };
}
