import { giveBack, lend, readThrough } from "@xvault/kernel";
import type { ObjectStore } from "@xvault/storage";
import { createHash } from "node:crypto";

/** Hash of a stored object, read from beginning to end. Hex. */
export async function sha256OfObject(store: ObjectStore, key: string, signal?: AbortSignal): Promise<string> {
  const hash = createHash("sha256");
  for await (const piece of readThrough(await store.reader(key))) {
    signal?.throwIfAborted();
    hash.update(piece);
    giveBack(lend(piece));
  }
  return hash.digest("hex");
}
