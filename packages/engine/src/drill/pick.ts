import type { IndexEntry } from "@xvault/archive";
import type { Draw } from "../verify/draw.ts";

export interface Picked {
  /** In the order in which they are read best: artifact after artifact, forward in each. */
  files: IndexEntry[];
  /** Files that there are. */
  of: number;
}

/**
 * Picks files out of an index of any length, in memory for those that are picked: `some` by chance, each file as likely as any other
 * (reservoir sampling), and besides the largest and the newest one, which are those that a restore is most often about.
 */
export async function pickFiles(entries: AsyncIterable<IndexEntry>, some: number, draw: Draw): Promise<Picked> {
  const drawn: IndexEntry[] = [];
  let of = 0;
  let largest: IndexEntry | null = null;
  let newest: IndexEntry | null = null;
  for await (const entry of entries) {
    if (entry.type !== "file") continue;
    of += 1;
    if (drawn.length < some) drawn.push(entry);
    else {
      const place = draw(of);
      if (place < some) drawn[place] = entry;
    }
    if (!largest || entry.size > largest.size) largest = entry;
    if (!newest || Number(entry.mtime) > Number(newest.mtime)) newest = entry;
  }
  const files = new Set(drawn);
  if (largest) files.add(largest);
  if (newest) files.add(newest);
  return { files: [...files].sort(byPlace), of };
}

function byPlace(a: IndexEntry, b: IndexEntry): number {
  const [first, second] = [a.snapshot ?? "", b.snapshot ?? ""];
  return first === second ? a.offset - b.offset : first < second ? -1 : 1;
}
