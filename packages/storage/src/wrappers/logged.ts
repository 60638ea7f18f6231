import { toXVaultError } from "@xvault/kernel";
import type { ObjectStore, ObjectWriter } from "../object-store.ts";

/** One call to a store, when it is over. Nothing of it is secret. */
export interface StoreCall {
  /** The method: 'stat', 'read', 'commit', … A list that is dropped half way counts as over. */
  name: string;
  /** The key or prefix; '' where there is none. */
  key: string;
  /** Bytes that passed with it: those read, those taken so far at commit, close, abort and a failed write. 0 for the others. */
  bytes: number;
  ms: number;
  /** The error's code, null when it went well. */
  code: string | null;
}

/**
 * Tells of every call once it is over, and changes none. Single writes are told of only when they fail, because there are very many:
 * the commit has their sum.
 */
export function logged(
  store: ObjectStore,
  { onCall, now = () => performance.now() }: { onCall(call: StoreCall): void; now?: (() => number) | undefined },
): ObjectStore {
  const timed = async <T>(
    name: string,
    key: string,
    run: () => Promise<T> | T,
    bytesOf: (value: T | null) => number = () => 0,
  ): Promise<T> => {
    const started = now();
    const tell = (value: T | null, code: string | null) =>
      onCall({ name, key, bytes: bytesOf(value), ms: now() - started, code });
    let value: T;
    try {
      value = await run();
    } catch (error) {
      tell(null, toXVaultError(error).code);
      throw error;
    }
    tell(value, null);
    return value;
  };
  const timedList = async function* <T>(name: string, prefix: string, list: AsyncIterable<T>): AsyncGenerator<T> {
    const started = now();
    let code: string | null = null;
    try {
      yield* list;
    } catch (error) {
      code = toXVaultError(error).code;
      throw error;
    } finally {
      onCall({ name, key: prefix, bytes: 0, ms: now() - started, code });
    }
  };
  const lengthOf = (bytes: Buffer | null) => bytes?.length ?? 0;

  const watchedWriter = (key: string, writer: ObjectWriter): ObjectWriter => {
    const taken = () => writer.sizeBytes;
    return {
      get sizeBytes() {
        return writer.sizeBytes;
      },
      async write(chunk) {
        const started = now();
        try {
          await writer.write(chunk);
        } catch (error) {
          onCall({ name: "write", key, bytes: taken(), ms: now() - started, code: toXVaultError(error).code });
          throw error;
        }
      },
      close: () => timed("close", key, () => writer.close(), taken),
      commit: () => timed("commit", key, () => writer.commit(), taken),
      abort: () => timed("abort", key, () => writer.abort(), taken),
    };
  };

  return {
    create: async (key) => watchedWriter(key, await timed("create", key, () => store.create(key))),
    stat: (key) => timed("stat", key, () => store.stat(key)),
    async reader(key) {
      const reader = await timed("reader", key, () => store.reader(key));
      return {
        size: reader.size,
        read: (offset, length) => timed("read", key, () => reader.read(offset, length), lengthOf),
      };
    },
    readAll: (key, limitBytes) => timed("readAll", key, () => store.readAll(key, limitBytes), lengthOf),
    list: (prefix) => timedList("list", prefix, store.list(prefix)),
    folders: (prefix) => timedList("folders", prefix, store.folders(prefix)),
    remove: (key) => timed("remove", key, () => store.remove(key)),
    removeTree: (prefix) => timed("removeTree", prefix, () => store.removeTree(prefix)),
    freeBytes: () => timed("freeBytes", "", () => store.freeBytes()),
    sweepTemporary: (olderThanMs, prefix) =>
      timed("sweepTemporary", prefix ?? "", () => store.sweepTemporary(olderThanMs, prefix)),
  };
}
