import { XVaultError } from "@xvault/kernel";
import { checkKey } from "../keys.ts";
import type { ObjectStore } from "../object-store.ts";

/** Reads as the store does; whatever would change it is refused with `STORAGE_READ_ONLY`, and the store is not asked. */
export function readOnly(store: ObjectStore): ObjectStore {
  const denied = (key: string) => new XVaultError("STORAGE_READ_ONLY", undefined, { data: { key } });
  const refuse = async (key: string): Promise<never> => {
    checkKey(key);
    throw denied(key);
  };
  return {
    create: refuse,
    stat: (key) => store.stat(key),
    reader: (key) => store.reader(key),
    readAll: (key, limitBytes) => store.readAll(key, limitBytes),
    list: (prefix) => store.list(prefix),
    folders: (prefix) => store.folders(prefix),
    remove: refuse,
    removeTree: refuse,
    freeBytes: () => store.freeBytes(),
    async sweepTemporary(_olderThanMs, prefix = "") {
      if (prefix !== "") checkKey(prefix);
      throw denied(prefix);
    },
  };
}
