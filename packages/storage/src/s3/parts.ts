const MiB = 1024 * 1024;
/** What S3 takes: so many parts, and so large an object. */
const MAX_PARTS = 10_000;
const MAX_OBJECT_BYTES = 5 * 1024 * 1024 * MiB;
/** So many parts have the least size; a writer does not know how much is still to come. */
const EQUAL_PARTS = 1000;
/** Parts above this are sent one at a time. */
const LARGE_PART_BYTES = 16 * MiB;

/**
 * The size of the part `number` (from 1) of an object of unknown length: `least` for the first thousand, from then on growing with the square of
 * the number, so that ten thousand parts hold 5 TiB. With 8 MiB: 8 GiB in equal parts; at 100 GiB a part has some 110 MiB, at 1 TiB some 580.
 */
export function partBytes(number: number, least: number): number {
  const later = Math.max(0, number - EQUAL_PARTS);
  const most = MAX_PARTS - EQUAL_PARTS;
  // The sum of squares to n is n³/3 and a little more.
  const factor = Math.max(0, (MAX_OBJECT_BYTES - MAX_PARTS * least) * (3 / most ** 3));
  return least + Math.ceil((later * later * factor) / MiB) * MiB;
}

/** How many parts of this size may be under way at once. */
export function partsAtOnce(bytes: number): number {
  return bytes > LARGE_PART_BYTES ? 1 : 2;
}

/** Gathers the bytes of one part; is filled anew after `clear`. Unless `whole`, it grows as it fills, so that a small object takes little. */
export class PartBuffer {
  #bytes = Buffer.alloc(0);
  #filled = 0;
  /** How many bytes it takes. */
  readonly limit: number;

  constructor(limit: number, whole: boolean) {
    this.limit = limit;
    if (whole) this.#bytes = Buffer.allocUnsafeSlow(limit);
  }

  get full(): boolean {
    return this.#filled === this.limit;
  }

  /** Takes as much of `chunk` as there is room for and gives the rest. */
  take(chunk: Buffer): Buffer {
    const taken = Math.min(chunk.length, this.limit - this.#filled);
    const needed = this.#filled + taken;
    if (needed > this.#bytes.length) {
      const larger = Buffer.allocUnsafeSlow(Math.min(this.limit, Math.max(needed, 2 * this.#bytes.length, 64 * 1024)));
      this.#bytes.copy(larger, 0, 0, this.#filled);
      this.#bytes = larger;
    }
    chunk.copy(this.#bytes, this.#filled, 0, taken);
    this.#filled += taken;
    return chunk.subarray(taken);
  }

  /** What was gathered. It changes when the buffer is filled anew. */
  bytes(): Buffer {
    return this.#bytes.subarray(0, this.#filled);
  }

  clear(): void {
    this.#filled = 0;
  }
}
