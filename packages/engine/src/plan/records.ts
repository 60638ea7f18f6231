import { PATH_MARK, STAMP } from "./marks.ts";

/**
 * A file as the plan state keeps it, 64 bytes: 12 the path's mark, 8 the stamp, 32 the content's SHA-256, 2 the number of the artifact
 * (the highest bit: it has a sparse map), 6 the place of its first header in that artifact's tar, 4 the bytes of its headers. Big endian.
 */
export const RECORD = 64;
export const HASH_AT = PATH_MARK + STAMP;
const ARTIFACT_AT = HASH_AT + 32;
const OFFSET_AT = ARTIFACT_AT + 2;
export const HEAD_AT = OFFSET_AT + 6;
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

export function writeStored(bytes: Buffer, at: number, file: StoredFile): void {
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

/** So many guesses are made before the rest is bisected. */
const GUESSES = 8;

/** Records in the order of their marks, 64 bytes a file in memory. */
export class RecordTable {
  readonly bytes: Buffer;
  readonly count: number;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
    this.count = bytes.length / RECORD;
  }

  /** Number of the record of a mark, or -1. */
  find(mark: Buffer): number {
    const key = mark.readUInt32BE(0);
    let low = 0;
    let high = this.count - 1;
    let lowKey = 0;
    let highKey = 2 ** 32;
    for (let guesses = 0; low <= high; guesses += 1) {
      // Marks are evenly spread, so a guess between the bounds is near. A state where they are not is bisected.
      const share = guesses < GUESSES && highKey > lowKey ? (key - lowKey) / (highKey - lowKey) : 0.5;
      const middle = Math.min(high, Math.max(low, low + Math.floor(share * (high - low))));
      const at = middle * RECORD;
      const there = this.bytes.readUInt32BE(at);
      const order = there === key ? this.bytes.compare(mark, 0, PATH_MARK, at, at + PATH_MARK) : there - key;
      if (order === 0) return middle;
      if (order < 0) {
        low = middle + 1;
        lowKey = there;
      } else {
        high = middle - 1;
        highKey = there;
      }
    }
    return -1;
  }

  hasStamp(record: number, stamp: Buffer): boolean {
    const at = record * RECORD + PATH_MARK;
    return this.bytes.compare(stamp, 0, STAMP, at, at + STAMP) === 0;
  }
}
