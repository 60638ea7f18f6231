import { setTimeout as sleep } from "node:timers/promises";
import { isXVaultError, type XVaultError } from "@xvault/kernel";
import type { ObjectStore } from "../object-store.ts";

export interface RetryingOptions {
  /** Waits before the tries that follow a failed one. Milliseconds; default 250, 1,000 and 4,000. */
  delaysMs?: readonly number[] | undefined;
  /** Once aborted nothing is tried again: the failure at hand is thrown. */
  signal?: AbortSignal | undefined;
  /** Told before each wait. `attempt` counts from 1. */
  onRetry?: ((again: { operation: string; attempt: number; delayMs: number; error: XVaultError }) => void) | undefined;
}

const DELAYS = [250, 1000, 4000];

/**
 * Repeats what failed with an error that says `retry`: every call that can be made twice without doing anything twice. Lists are repeated
 * while nothing of them has been handed out. Bytes that were given to a writer are gone, so `write`, `close` and `commit` are never
 * repeated; beginning an object is. After the last try its error is thrown.
 */
export function retrying(store: ObjectStore, options: RetryingOptions = {}): ObjectStore {
  const delays = options.delaysMs ?? DELAYS;

  /** Waits and resolves when `error` is worth another try; throws it when it is not. */
  const before = async (operation: string, attempt: number, error: unknown): Promise<void> => {
    const delayMs = delays[attempt - 1];
    if (!isXVaultError(error) || !error.retry || delayMs === undefined || options.signal?.aborted) throw error;
    options.onRetry?.({ operation, attempt, delayMs, error });
    await sleep(delayMs, undefined, { signal: options.signal }).catch(() => {
      throw error;
    });
  };
  const repeat = async <T>(operation: string, run: () => Promise<T>): Promise<T> => {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await run();
      } catch (error) {
        await before(operation, attempt, error);
      }
    }
  };
  const repeatStart = async function* <T>(operation: string, run: () => AsyncIterable<T>): AsyncGenerator<T> {
    for (let attempt = 1; ; attempt += 1) {
      let started = false;
      try {
        for await (const one of run()) {
          started = true;
          yield one;
        }
        return;
      } catch (error) {
        if (started) throw error;
        await before(operation, attempt, error);
      }
    }
  };

  return {
    create: (key) => repeat("create", () => store.create(key)),
    stat: (key) => repeat("stat", () => store.stat(key)),
    async reader(key) {
      const reader = await repeat("reader", () => store.reader(key));
      return { size: reader.size, read: (offset, length) => repeat("read", () => reader.read(offset, length)) };
    },
    readAll: (key, limitBytes) => repeat("readAll", () => store.readAll(key, limitBytes)),
    list: (prefix) => repeatStart("list", () => store.list(prefix)),
    folders: (prefix) => repeatStart("folders", () => store.folders(prefix)),
    remove: (key) => repeat("remove", () => store.remove(key)),
    removeTree: (prefix) => repeat("removeTree", () => store.removeTree(prefix)),
    freeBytes: () => repeat("freeBytes", () => store.freeBytes()),
    sweepTemporary: (olderThanMs, prefix) => repeat("sweepTemporary", () => store.sweepTemporary(olderThanMs, prefix)),
  };
}
