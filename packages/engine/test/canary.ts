import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** So many bytes in a row of a canary count as a trace of it: fewer may stand anywhere by chance. */
export const TRACE_BYTES = 16;

/** A search for canaries, in whole or in pieces of {@link TRACE_BYTES} or more. */
export interface CanarySearch {
  /** Where in `bytes` the first piece begins; -1 when there is none. */
  in(bytes: Buffer): number;
  /** Files below the directories that hold a piece, in their content or in their name. */
  below(...dirs: string[]): string[];
}

export function searchFor(...canaries: Buffer[]): CanarySearch {
  const pieces = new Set<string>();
  // Most places are passed over by their first two bytes.
  const heads = new Uint8Array(65_536);
  for (const canary of canaries) {
    if (canary.length < TRACE_BYTES) throw new Error("a canary this short may stand anywhere by chance");
    for (let at = 0; at + TRACE_BYTES <= canary.length; at += 1) {
      pieces.add(canary.toString("latin1", at, at + TRACE_BYTES));
      heads[canary.readUInt16BE(at)] = 1;
    }
  }
  const find = (bytes: Buffer) => {
    for (let at = 0; at + TRACE_BYTES <= bytes.length; at += 1) {
      if (heads[((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)] !== 1) continue;
      if (pieces.has(bytes.toString("latin1", at, at + TRACE_BYTES))) return at;
    }
    return -1;
  };
  return {
    in: find,
    below: (...dirs) =>
      dirs.flatMap((dir) =>
        readdirSync(dir, { recursive: true, withFileTypes: true })
          .map((entry) => ({ entry, path: join(entry.parentPath, entry.name) }))
          .filter(
            ({ entry, path }) => find(Buffer.from(path)) >= 0 || (entry.isFile() && find(readFileSync(path)) >= 0),
          )
          .map(({ path }) => path),
      ),
  };
}
