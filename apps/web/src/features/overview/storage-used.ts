import { listSnapshots } from "../snapshots/queries.ts";

/** More pages than these are not counted: the sum then stands for the newest snapshots. */
const MAX_PAGES = 5;

/** What the workspace's snapshots take, summed over the newest thousand. Bytes. */
export async function storageUsed(signal: AbortSignal) {
  const sum = { snapshots: 0, stored: 0, plain: 0, more: false };
  let cursor: string | null = null;
  for (let page = 0; page < MAX_PAGES; page += 1) {
    const { items, next_cursor }: Awaited<ReturnType<typeof listSnapshots>> = await listSnapshots(
      { limit: 200, ...(cursor === null ? {} : { cursor }) },
      signal,
    );
    for (const snapshot of items) {
      sum.snapshots += 1;
      sum.stored += snapshot.size_bytes;
      sum.plain += snapshot.plain_bytes;
    }
    cursor = next_cursor;
    if (cursor === null) return sum;
  }
  return { ...sum, more: true };
}
