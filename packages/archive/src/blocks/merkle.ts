import { hash } from "node:crypto";

export const HASH_BYTES = 32;

/** SHA-256 of a whole buffer. */
export function sha256(bytes: Buffer): Buffer {
  return hash("sha256", bytes, "buffer");
}

const LEAF = Buffer.from([0]);
const NODE = Buffer.from([1]);

/**
 * The Merkle tree hash of RFC 6962 (2.1) over leaves that arrive one by one, in memory of their number's logarithm: the stack
 * holds the roots of complete subtrees, larger ones first.
 */
export class MerkleTree {
  readonly #stack: Buffer[] = [];
  #count = 0;

  get count(): number {
    return this.#count;
  }

  add(leaf: Buffer): void {
    let node = sha256(Buffer.concat([LEAF, leaf]));
    for (let n = this.#count; n % 2 === 1; n = Math.floor(n / 2)) node = this.#join(node);
    this.#stack.push(node);
    this.#count += 1;
  }

  /** The root over the leaves so far, in hex. */
  root(): string {
    if (this.#stack.length === 0) return sha256(Buffer.alloc(0)).toString("hex");
    return this.#stack.reduceRight((right, left) => sha256(Buffer.concat([NODE, left, right]))).toString("hex");
  }

  #join(right: Buffer): Buffer {
    const left = this.#stack.pop() ?? Buffer.alloc(0);
    return sha256(Buffer.concat([NODE, left, right]));
  }
}

/** The root over `leaves`, 32 bytes each, in hex. */
export function merkleRoot(leaves: Buffer): string {
  if (leaves.length % HASH_BYTES !== 0) throw new RangeError("leaves are 32 bytes each");
  const tree = new MerkleTree();
  for (let at = 0; at < leaves.length; at += HASH_BYTES) tree.add(leaves.subarray(at, at + HASH_BYTES));
  return tree.root();
}
