import { PATH_MARK, STAMP } from "./marks.ts";
import { HASH_AT, HEAD_AT, RECORD, type StoredFile, writeStored } from "./records.ts";

/** Stands in the place of the stamp of a file that is left out. No stamp is this, but by a chance of one in 2^64. */
const DROPPED = Buffer.alloc(STAMP, 0xff);

const PAGE_BITS = 14;
const PAGE = 1 << PAGE_BITS;

/** A mark's first 31 bits and a record's number together are a whole number that a double holds: numbers are sorted many times faster than marks. */
const NUMBER_BITS = 22;
const NUMBERS = 2 ** NUMBER_BITS;

/** Records of files that are on their way: entered when they are listed, filled when they are packed. Grows by 64 bytes and some a file. */
export class RecordBook {
  readonly #pages: Buffer[] = [];
  /** Open addressing, record number + 1 a slot. */
  #slots = new Uint32Array(1 << 12);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  enter(mark: Buffer, stamp: Buffer): void {
    if (this.#count * 2 >= this.#slots.length) this.#grow();
    const slot = this.#slotOf(mark);
    let record = (this.#slots[slot] ?? 0) - 1;
    if (record < 0) {
      record = this.#count++;
      if (record >> PAGE_BITS === this.#pages.length) this.#pages.push(Buffer.alloc(PAGE * RECORD));
      this.#slots[slot] = record + 1;
    }
    const { page, at } = this.place(record);
    page.fill(0, at, at + RECORD);
    mark.copy(page, at);
    stamp.copy(page, at + PATH_MARK);
  }

  /** False for a mark that was not entered, or is left out. */
  fill(mark: Buffer, file: StoredFile): boolean {
    const record = (this.#slots[this.#slotOf(mark)] ?? 0) - 1;
    if (record < 0) return false;
    const { page, at } = this.place(record);
    if (DROPPED.compare(page, at + PATH_MARK, at + PATH_MARK + STAMP) === 0) return false;
    writeStored(page, at, file);
    return true;
  }

  /** Leaves a file out of the state, whether it was filled already or will be. False for a mark that was not entered. */
  drop(mark: Buffer): boolean {
    const record = (this.#slots[this.#slotOf(mark)] ?? 0) - 1;
    if (record < 0) return false;
    const { page, at } = this.place(record);
    page.fill(0, at + HASH_AT, at + RECORD);
    DROPPED.copy(page, at + PATH_MARK);
    return true;
  }

  /** A book of those that are not filled, left-out ones among them. */
  underWay(): RecordBook {
    const rest = new RecordBook();
    for (let record = 0; record < this.#count; record++) {
      if (this.#isFilled(record)) continue;
      const { page, at } = this.place(record);
      rest.enter(page.subarray(at, at + PATH_MARK), page.subarray(at + PATH_MARK, at + HASH_AT));
    }
    return rest;
  }

  place(record: number): { page: Buffer; at: number } {
    const page = this.#pages[record >> PAGE_BITS];
    if (!page) throw new RangeError("there is no such record");
    return { page, at: (record & (PAGE - 1)) * RECORD };
  }

  /** Numbers of the filled records in the order of their marks. */
  sorted(): Uint32Array {
    const keys = new Float64Array(this.#count);
    let length = 0;
    for (let record = 0; record < this.#count; record++) {
      if (!this.#isFilled(record)) continue;
      const { page, at } = this.place(record);
      keys[length++] = (page.readUInt32BE(at) >>> 1) * NUMBERS + record;
    }
    const order = Uint32Array.from(keys.subarray(0, length).sort(), (key) => key % NUMBERS);
    // Where the first bits are alike, the number has decided so far. That is rare: marks are evenly spread.
    for (let end = 1; end < length; end++) {
      for (let at = end; at > 0 && this.#compare(order[at - 1] ?? 0, order[at] ?? 0) > 0; at--) {
        const before = order[at - 1] ?? 0;
        order[at - 1] = order[at] ?? 0;
        order[at] = before;
      }
    }
    return order;
  }

  #compare(left: number, right: number): number {
    const a = this.place(left);
    const b = this.place(right);
    const first = a.page.readUInt32BE(a.at) - b.page.readUInt32BE(b.at);
    return first !== 0 ? first : a.page.compare(b.page, b.at, b.at + PATH_MARK, a.at, a.at + PATH_MARK);
  }

  /** A packed file has headers: no bytes of them means that the file never came. */
  #isFilled(record: number): boolean {
    const { page, at } = this.place(record);
    return page.readUInt32BE(at + HEAD_AT) > 0;
  }

  #slotOf(mark: Buffer): number {
    const mask = this.#slots.length - 1;
    // Marks are evenly spread already.
    for (let slot = mark.readUInt32LE(4) & mask; ; slot = (slot + 1) & mask) {
      const record = (this.#slots[slot] ?? 0) - 1;
      if (record < 0) return slot;
      const { page, at } = this.place(record);
      if (page.compare(mark, 0, PATH_MARK, at, at + PATH_MARK) === 0) return slot;
    }
  }

  #grow(): void {
    this.#slots = new Uint32Array(this.#slots.length * 2);
    for (let record = 0; record < this.#count; record++) {
      const { page, at } = this.place(record);
      this.#slots[this.#slotOf(page.subarray(at, at + PATH_MARK))] = record + 1;
    }
  }
}
