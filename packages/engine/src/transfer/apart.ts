import { XVaultError } from "@xvault/kernel";
import type { ObjectStore } from "@xvault/storage";

/** Beside the snapshots: an empty object of the name of each storage that lies here. */
const FOLDER = "places";

/**
 * Makes sure that two storages are two places. The same bucket, folder or remote can be added twice under different names or addresses; what
 * is "moved" between them would be removed for good. So each storage is given a mark of its own once, and that of one must not be seen through
 * the other.
 *
 * @throws CONFLICT where they are one; what the storages throw
 */
export async function checkApart(
  from: { id: string; store: ObjectStore },
  to: { id: string; store: ObjectStore },
): Promise<void> {
  const mark = (id: string) => `${FOLDER}/${id}`;
  await leaveMark(to.store, mark(to.id));
  if (from.id !== to.id && (await from.store.stat(mark(to.id))) === null) return;
  throw new XVaultError("CONFLICT", "Both storages are one and the same place.", {
    fix: "Nothing was copied or removed. Keep one of the two storages, and place sources on that.",
  });
}

async function leaveMark(store: ObjectStore, key: string): Promise<void> {
  if (await store.stat(key)) return;
  const writer = await store.create(key);
  try {
    await writer.write(Buffer.from("xVault tells storages apart by this.\n"));
    await writer.commit();
  } catch (error) {
    await writer.abort();
    // Another transfer to the storage was faster.
    if (!(await store.stat(key))) throw error;
  }
}
