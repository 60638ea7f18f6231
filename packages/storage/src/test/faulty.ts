import type { XVaultError } from "@xvault/kernel";
import type { ObjectStore } from "../object-store.ts";

/** One call that reached a store: a method of it, of a reader ('read') or of a writer ('write', 'close', 'commit', 'abort'). */
export interface Reached {
  name: string;
  key: string;
  /** Counts the calls of all names, from 0. */
  nth: number;
}

/**
 * A store that fails on order: `fault` is asked before each call and may give the error that the call then ends with instead. A commit that
 * fails leaves nothing visible, as a driver's must. `reached` has every call, failed or not.
 */
export function faulty(
  store: ObjectStore,
  fault: (call: Reached) => XVaultError | null = () => null,
): ObjectStore & { reached: Reached[] } {
  const reached: Reached[] = [];
  const step = async (name: string, key = "") => {
    const call = { name, key, nth: reached.length };
    reached.push(call);
    const error = fault(call);
    if (error) throw error;
  };
  const stepped = async <T>(name: string, key: string, run: () => Promise<T> | T): Promise<T> => {
    await step(name, key);
    return run();
  };
  const listed = async function* <T>(name: string, prefix: string, run: () => AsyncIterable<T>): AsyncGenerator<T> {
    await step(name, prefix);
    yield* run();
  };
  return {
    reached,
    create: (key) =>
      stepped("create", key, async () => {
        const writer = await store.create(key);
        return {
          get sizeBytes() {
            return writer.sizeBytes;
          },
          write: (chunk) => stepped("write", key, () => writer.write(chunk)),
          close: () => stepped("close", key, () => writer.close()),
          async commit() {
            await step("commit", key).catch(async (error: unknown) => {
              await writer.abort();
              throw error;
            });
            await writer.commit();
          },
          async abort() {
            await step("abort", key).catch(() => {});
            await writer.abort();
          },
        };
      }),
    stat: (key) => stepped("stat", key, () => store.stat(key)),
    reader: (key) =>
      stepped("reader", key, async () => {
        const reader = await store.reader(key);
        return {
          size: reader.size,
          read: (offset, length) => stepped("read", key, () => reader.read(offset, length)),
        };
      }),
    readAll: (key, limitBytes) => stepped("readAll", key, () => store.readAll(key, limitBytes)),
    list: (prefix) => listed("list", prefix, () => store.list(prefix)),
    folders: (prefix) => listed("folders", prefix, () => store.folders(prefix)),
    remove: (key) => stepped("remove", key, () => store.remove(key)),
    removeTree: (prefix) => stepped("removeTree", prefix, () => store.removeTree(prefix)),
    freeBytes: () => stepped("freeBytes", "", () => store.freeBytes()),
    sweepTemporary: (olderThanMs, prefix) =>
      stepped("sweepTemporary", prefix ?? "", () => store.sweepTemporary(olderThanMs, prefix)),
  };
}
