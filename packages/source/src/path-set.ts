import { hash, randomBytes } from "node:crypto";

const KEY = 16;

/** Paths that are noted at a time: 64 KiB. */
const NOTED = 8 * 1024;

/**
 * A set of paths that takes eight bytes for each, and 12 to 24 once it is asked what it has: it is noted for each path of a run, and asked
 * only when a link has dropped. A path is kept as 64 bits of a hash under a random key, so nobody can make two that meet; among ten million
 * paths the chance that any two do is about one in 370,000.
 */
export class PathSet {
  /** The random key, with room for a path behind it. */
  #keyed = Buffer.concat([randomBytes(KEY), Buffer.alloc(1024)]);
  readonly #digest = Buffer.alloc(32);
  /** What was added before the set was asked, in pairs as the table has them. */
  #notes: Uint32Array[] = [];
  #noted = 0;
  #table: Table | null = null;

  add(path: Buffer): void {
    const [high, low] = this.#hash(path);
    if (this.#table) return this.#table.add(high, low);
    const at = 2 * (this.#noted % NOTED);
    if (at === 0) this.#notes.push(new Uint32Array(2 * NOTED));
    const page = this.#notes[this.#notes.length - 1];
    if (page) {
      page[at] = high;
      page[at + 1] = low;
    }
    this.#noted += 1;
  }

  has(path: Buffer): boolean {
    const [high, low] = this.#hash(path);
    return this.#asTable().has(high, low);
  }

  #asTable(): Table {
    if (this.#table) return this.#table;
    const table = new Table();
    for (let number = 0; number < this.#noted; number += 1) {
      const page = this.#notes[Math.floor(number / NOTED)];
      const at = 2 * (number % NOTED);
      table.add(page?.[at] ?? 0, page?.[at + 1] ?? 0);
    }
    this.#notes = [];
    this.#table = table;
    return table;
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

/** Pairs of numbers, never two zeros. Doubles when it is two thirds full. */
class Table {
  #slots = new Uint32Array(2 * 1024);
  #size = 0;

  add(high: number, low: number): void {
    if (this.#size * 3 >= this.#slots.length) this.#grow();
    const at = find(this.#slots, high, low);
    if (this.#slots[at] === high && this.#slots[at + 1] === low) return;
    this.#slots[at] = high;
    this.#slots[at + 1] = low;
    this.#size += 1;
  }

  has(high: number, low: number): boolean {
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
}

/** Where a pair stands, or the free slot where it would. */
function find(slots: Uint32Array, high: number, low: number): number {
  const mask = slots.length - 1;
  let at = (high << 1) & mask;
  while ((slots[at] !== 0 || slots[at + 1] !== 0) && (slots[at] !== high || slots[at + 1] !== low))
    at = (at + 2) & mask;
  return at;
}
