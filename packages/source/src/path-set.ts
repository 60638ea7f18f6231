import { hash, randomBytes } from "node:crypto";

const KEY = 16;

/**
 * A set of paths that takes eight bytes for each and, as it doubles when it is two thirds full, 12 to 24 bytes a path in all: some 16 MiB for
 * a million. A path is kept as 64 bits of a hash under a random key, so nobody can make two that meet; among ten million paths the chance
 * that any two do is about one in 370,000.
 */
export class PathSet {
  /** The random key, with room for a path behind it. */
  #keyed = Buffer.concat([randomBytes(KEY), Buffer.alloc(1024)]);
  readonly #digest = Buffer.alloc(32);
  #slots = new Uint32Array(2 * 1024);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(path: Buffer): void {
    if (this.#size * 3 >= this.#slots.length) this.#grow();
    const [high, low] = this.#hash(path);
    const at = find(this.#slots, high, low);
    if (this.#slots[at] === high && this.#slots[at + 1] === low) return;
    this.#slots[at] = high;
    this.#slots[at + 1] = low;
    this.#size += 1;
  }

  has(path: Buffer): boolean {
    const [high, low] = this.#hash(path);
    const at = find(this.#slots, high, low);
    return this.#slots[at] === high && this.#slots[at + 1] === low;
  }

  #grow(): void {
    const old = this.#slots;
    this.#slots = new Uint32Array(2 * old.length);
    for (let at = 0; at < old.length; at += 2) {
      const [high = 0, low = 0] = [old[at], old[at + 1]];
      if (high === 0 && low === 0) continue;
      const to = find(this.#slots, high, low);
      this.#slots[to] = high;
      this.#slots[to + 1] = low;
    }
  }

  /** Never two zeros, which mark a free slot. */
  #hash(path: Buffer): [high: number, low: number] {
    const end = KEY + path.length;
    if (end > this.#keyed.length) this.#keyed = Buffer.concat([this.#keyed.subarray(0, KEY), Buffer.alloc(2 * end)]);
    path.copy(this.#keyed, KEY);
    // As a text, and not as a buffer of its own: this is done for every file.
    this.#digest.write(hash("sha256", this.#keyed.subarray(0, end), "binary"), "latin1");
    return [this.#digest.readUInt32LE(0), this.#digest.readUInt32LE(4) || 1];
  }
}

/** Where a pair stands, or the free slot where it would. */
function find(slots: Uint32Array, high: number, low: number): number {
  const mask = slots.length - 1;
  let at = (high << 1) & mask;
  while ((slots[at] !== 0 || slots[at + 1] !== 0) && (slots[at] !== high || slots[at + 1] !== low))
    at = (at + 2) & mask;
  return at;
}
