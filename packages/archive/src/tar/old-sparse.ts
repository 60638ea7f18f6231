import { malformed } from "../failures.ts";
import { readNumber } from "./numbers.ts";
import { MAX_SPARSE_RUNS } from "./sparse.ts";

/** The map of a sparse file in GNU's old format (flag 'S'), as far as it was read. */
export interface OldSparse {
  /** Offsets and lengths, in turn. */
  pairs: number[];
  /** The file's apparent size. */
  size: number;
  /** True when the next block goes on with the map. */
  more: boolean;
}

/** Reads the four pairs that the header itself has. */
export function startOldSparse(header: Buffer): OldSparse {
  const map: OldSparse = { pairs: [], size: readNumber(header, 483, 12, "real size"), more: header[482] === 1 };
  if (map.size < 0) throw malformed("a size is negative");
  takePairs(map, header, 386, 4);
  return map;
}

/** Reads the 21 pairs of a block that continues the map. */
export function continueOldSparse(map: OldSparse, block: Buffer): void {
  takePairs(map, block, 0, 21);
  map.more = block[504] === 1;
  if (map.pairs.length > 2 * MAX_SPARSE_RUNS) throw malformed("a sparse file has too many runs");
}

/** The first pair that is not filled in ends the map. */
function takePairs(map: OldSparse, block: Buffer, at: number, count: number): void {
  for (let i = 0; i < count; i += 1) {
    const start = at + i * 24;
    if (block[start + 12] === 0) return;
    map.pairs.push(readNumber(block, start, 12, "sparse offset"), readNumber(block, start + 12, 12, "sparse length"));
  }
}
