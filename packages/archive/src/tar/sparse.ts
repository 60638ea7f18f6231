import type { DataRun } from "@xvault/kernel";
import { malformed } from "../failures.ts";
import { parseDecimal } from "./numbers.ts";

/** The most data runs a sparse file may have in an archive that we read. */
export const MAX_SPARSE_RUNS = 262_144;

/**
 * The map of GNU.sparse 1.0, padded to whole blocks, which stands in front of a sparse file's data: the number of runs, then
 * offset and length of each, one decimal number a line. GNU tar needs an empty last run where the file ends in a hole.
 */
export function encodeSparseMap(runs: readonly DataRun[], size: number): Buffer {
  const last = runs.at(-1);
  const tail = last && last.offset + last.length === size ? [] : [{ offset: size, length: 0 }];
  const all = [...runs, ...tail];
  const text = `${all.length}\n${all.map((run) => `${run.offset}\n${run.length}\n`).join("")}`;
  const map = Buffer.alloc(Math.ceil(text.length / 512) * 512);
  map.write(text, "latin1");
  return map;
}

/** Collects the numbers of a GNU.sparse 1.0 map from successive blocks. */
export class SparseMapReader {
  readonly #numbers: number[] = [];
  #wanted = 1;
  #partial = "";

  /** Takes one block; true when the map is complete. */
  push(block: Buffer): boolean {
    const lines = (this.#partial + block.toString("latin1")).split("\n");
    this.#partial = lines.pop() ?? "";
    for (const line of lines) {
      if (this.#numbers.length === this.#wanted) break; // what follows is padding
      const number = parseDecimal(line, "the sparse map");
      if (this.#numbers.length === 0) {
        if (number > MAX_SPARSE_RUNS) throw malformed("a sparse file has too many runs");
        this.#wanted = 1 + 2 * number;
      }
      this.#numbers.push(number);
    }
    if (this.#numbers.length === this.#wanted) return true;
    if (this.#partial.length > 16) throw malformed("the sparse map is not made of numbers");
    return false;
  }

  /** Offsets and lengths, in turn. */
  pairs(): number[] {
    return this.#numbers.slice(1);
  }
}

/** The text map of GNU.sparse 0.1: "offset,length,offset,length…". */
export function parseCommaMap(text: string): number[] {
  if (text === "") return [];
  return text.split(",").map((number) => parseDecimal(number, "the sparse map"));
}

/**
 * Data runs from pairs of numbers, empty ones left out. They must ascend, lie inside the file and add up to `stored` bytes.
 */
export function toRuns(pairs: readonly number[], size: number, stored: number): DataRun[] {
  if (pairs.length % 2 !== 0 || pairs.length > 2 * MAX_SPARSE_RUNS) throw malformed("the sparse map is not in pairs");
  const runs: DataRun[] = [];
  let reached = 0;
  let sum = 0;
  for (let i = 0; i < pairs.length; i += 2) {
    const offset = pairs[i] ?? 0;
    const length = pairs[i + 1] ?? 0;
    if (offset < reached || offset + length > size) throw malformed("the runs of a sparse file overlap or leave it");
    reached = offset + length;
    sum += length;
    if (length > 0) runs.push({ offset, length });
  }
  if (sum !== stored) throw malformed("the runs of a sparse file do not add up to its data");
  return runs;
}
