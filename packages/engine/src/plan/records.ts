import { PATH_MARK, STAMP } from "./marks.ts";

/**
 * A file as the plan state keeps it, 64 bytes: 12 the path's mark, 8 the stamp, 32 the content's SHA-256, 2 the number of the artifact
 * (the highest bit: it has a sparse map), 6 the place of its first header in that artifact's tar, 4 the bytes of its headers. Big endian.
 */
export const RECORD = 64;
const HASH_AT = PATH_MARK + STAMP;
const ARTIFACT_AT = HASH_AT + 32;
const OFFSET_AT = ARTIFACT_AT + 2;
const HEAD_AT = OFFSET_AT + 6;
const SPARSE_BIT = 0x8000;
/** Artifacts that one state can tell apart. */
export const MAX_ARTIFACTS = SPARSE_BIT - 1;

export interface StoredFile {
  sha256: string;
  /** Number of the artifact in the state's table. */
  artifact: number;
  sparse: boolean;
  offset: number;
  bodyOffset: number;
}

export function readStored(bytes: Buffer, at: number): StoredFile {
  const artifact = bytes.readUInt16BE(at + ARTIFACT_AT);
  const offset = bytes.readUIntBE(at + OFFSET_AT, 6);
  return {
    sha256: bytes.toString("hex", at + HASH_AT, at + ARTIFACT_AT),
    artifact: artifact & ~SPARSE_BIT,
    sparse: (artifact & SPARSE_BIT) !== 0,
    offset,
    bodyOffset: offset + bytes.readUInt32BE(at + HEAD_AT),
  };
}

function writeStored(bytes: Buffer, at: number, file: StoredFile): void {
  bytes.write(file.sha256, at + HASH_AT, "hex");
  bytes.writeUInt16BE(file.artifact | (file.sparse ? SPARSE_BIT : 0), at + ARTIFACT_AT);
  bytes.writeUIntBE(file.offset, at + OFFSET_AT, 6);
  bytes.writeUInt32BE(file.bodyOffset - file.offset, at + HEAD_AT);
}

/** Gives a record's artifact another number. */
export function renumber(bytes: Buffer, at: number, artifact: number): void {
  const sparse = bytes.readUInt16BE(at + ARTIFACT_AT) & SPARSE_BIT;
  bytes.writeUInt16BE(artifact | sparse, at + ARTIFACT_AT);
}

/** Records in the order of their marks, 64 bytes a file in memory. */
export class RecordTable {
  readonly bytes: Buffer;
  readonly count: number;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
    this.count = bytes.length / RECORD;
  }

  /** Number of the record of a mark, or -1. Marks are evenly spread, so the first guess is near. */
  find(mark: Buffer): number {
    let low = 0;
    let high = this.count - 1;
    let guess = Math.floor((mark.readUInt32BE(0) / 2 ** 32) * this.count);
    while (low <= high) {
      const middle = Math.min(high, Math.max(low, guess));
      const at = middle * RECORD;
      const order = this.bytes.compare(mark, 0, PATH_MARK, at, at + PATH_MARK);
      if (order === 0) return middle;
      if (order < 0) low = middle + 1;
      else high = middle - 1;
      guess = (low + high) >> 1;
    }
    return -1;
  }

  hasStamp(record: number, stamp: Buffer): boolean {
    const at = record * RECORD + PATH_MARK;
    return this.bytes.compare(stamp, 0, STAMP, at, at + STAMP) === 0;
  }
}

/** Stands in the place of the stamp of a file that is left out. No stamp is this, but by a chance of one in 2^64. */
const DROPPED = Buffer.alloc(STAMP, 0xff);

const PAGE_BITS = 14;
const PAGE = 1 << PAGE_BITS;

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

  /** Leaves a file out of the state, whether it was filled already or will be. */
  drop(mark: Buffer): void {
    const record = (this.#slots[this.#slotOf(mark)] ?? 0) - 1;
    if (record < 0) return;
    const { page, at } = this.place(record);
    page.fill(0, at + HASH_AT, at + RECORD);
    DROPPED.copy(page, at + PATH_MARK);
  }

  place(record: number): { page: Buffer; at: number } {
    const page = this.#pages[record >> PAGE_BITS];
    if (!page) throw new RangeError("there is no such record");
    return { page, at: (record & (PAGE - 1)) * RECORD };
  }

  /** Numbers of the filled records in the order of their marks. */
  sorted(): Uint32Array {
    const filled: number[] | Uint32Array = new Uint32Array(this.#count);
    let length = 0;
    for (let record = 0; record < this.#count; record++) {
      const { page, at } = this.place(record);
      // A packed file has headers: no bytes of them means that the file never came.
      if (page.readUInt32BE(at + HEAD_AT) > 0) filled[length++] = record;
    }
    return filled.subarray(0, length).sort((left, right) => {
      const a = this.place(left);
      const b = this.place(right);
      return a.page.compare(b.page, b.at, b.at + PATH_MARK, a.at, a.at + PATH_MARK);
    });
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
