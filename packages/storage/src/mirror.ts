import { type ByteReader, isXVaultError, toXVaultError, XVaultError } from "@xvault/kernel";
import { checkRange, missing } from "./failures.ts";
import { checkKey } from "./keys.ts";
import { beginMirrored, type MirrorState } from "./mirror-writer.ts";
import type { ObjectStore } from "./object-store.ts";

export interface MirrorMember {
  /** Told to people: which of the storages it is. No two members have the same. */
  name: string;
  store: ObjectStore;
}

export interface Mirror extends ObjectStore {
  /** Members that were given up, by name, each with what it failed with. */
  lost(): ReadonlyMap<string, XVaultError>;
  /** Names of the members that have every object written so far, in order. Never empty. */
  healthy(): string[];
}

/**
 * Several stores as one: what is written goes to all of them at once, so the source is read once. It lives as long as one run.
 *
 * - **Writing.** `create`, `write`, `close` and `commit` do the same on every healthy member and wait for the slowest. A member of which one
 *   of them fails is *given up*: its open writers are aborted, `onLost` is told once, and it gets nothing more to write, so its objects are
 *   whole but perhaps not all there. The call goes well as long as one member is left. The last member is never given up: its errors
 *   are those of the mirror, as if it stood alone.
 * - **Keys that are taken** are no failure: `create` says `OBJECT_EXISTS` when any healthy member does, and begins nothing; `commit` does when
 *   every healthy member does. A member that alone finds the key taken at `commit` is given up, since it holds something else there.
 * - **Reading** asks the healthy members in their order, and the next one when one fails or lacks the object. A range that lies outside of the
 *   object is the caller's mistake and asks nobody. `ARTIFACT_MISSING` (null from `stat`) means that every healthy member says so; else the first
 *   other failure is thrown. Lists come from the first member whose list begins. A failed read gives up no member, and proves nothing
 *   about the others: to check what one member holds, read that member.
 * - **Removing** is tried on all members. What fails on a healthy one is thrown when all are through, and can be repeated; lost ones are neither
 *   waited for nor told about.
 * - `freeBytes` is the least that any healthy member has. `sweepTemporary` sweeps the healthy ones and gives the sum.
 */
export function createMirror(
  members: readonly MirrorMember[],
  { onLost }: { onLost(name: string, error: XVaultError): void },
): Mirror {
  if (members.length === 0 || new Set(members.map(({ name }) => name)).size < members.length)
    throw new XVaultError("INTERNAL", "A mirror needs members whose names differ.");
  const lost = new Map<string, XVaultError>();
  const healthy = () => members.filter(({ name }) => !lost.has(name));
  const state: MirrorState = {
    healthy,
    giveUp(member, error) {
      if (lost.has(member.name)) return;
      const failure = toXVaultError(error);
      if (healthy().length === 1) throw failure;
      lost.set(member.name, failure);
      for (const writer of state.writers) writer.drop(member);
      onLost(member.name, failure);
    },
    writers: new Set(),
    publishing: new Set(),
  };

  /** The first answer of a healthy member that is not null; null when all said null or that the object is missing. */
  const ask = async <T>(question: (store: ObjectStore) => Promise<T | null>): Promise<T | null> => {
    let failure: unknown = null;
    for (const { store } of healthy()) {
      try {
        const answer = await question(store);
        if (answer !== null) return answer;
      } catch (error) {
        if (!isXVaultError(error, "ARTIFACT_MISSING")) failure ??= error;
      }
    }
    if (failure !== null) throw failure;
    return null;
  };
  const askFor = async <T>(key: string, question: (store: ObjectStore) => Promise<T>): Promise<T> => {
    checkKey(key);
    const answer = await ask(question);
    if (answer === null) throw missing(key);
    return answer;
  };
  const listed = async function* <T>(
    prefix: string,
    list: (store: ObjectStore) => AsyncIterable<T>,
  ): AsyncGenerator<T> {
    if (prefix !== "") checkKey(prefix);
    let failure: unknown;
    for (const { store } of healthy()) {
      let begun = false;
      try {
        for await (const one of list(store)) {
          begun = true;
          yield one;
        }
        return;
      } catch (error) {
        if (begun) throw error;
        failure ??= error;
      }
    }
    throw failure;
  };
  /** Does it on all healthy members; throws the first failure when all are through. */
  const onHealthy = async <T>(work: (store: ObjectStore) => Promise<T>): Promise<T[]> => {
    const outcomes = await Promise.allSettled(healthy().map(({ store }) => work(store)));
    return outcomes.map((outcome) => {
      if (outcome.status === "rejected") throw outcome.reason;
      return outcome.value;
    });
  };
  const onAll = async (work: (store: ObjectStore) => Promise<void>): Promise<void> => {
    // Not waited for: a storage that is gone may never answer.
    for (const { name, store } of members) if (lost.has(name)) work(store).catch(() => {});
    await onHealthy(work);
  };

  return {
    lost: () => lost,
    healthy: () => healthy().map(({ name }) => name),
    async create(key) {
      checkKey(key);
      return beginMirrored(state, key);
    },
    async stat(key) {
      checkKey(key);
      return ask((store) => store.stat(key));
    },
    async reader(key) {
      const opened = new Map<ObjectStore, ByteReader>();
      const open = async (store: ObjectStore) => {
        const reader = opened.get(store) ?? (await store.reader(key));
        opened.set(store, reader);
        return reader;
      };
      const { size } = await askFor(key, open);
      return {
        size,
        async read(offset, length) {
          checkRange(key, size, offset, length);
          return askFor(key, async (store) => (await open(store)).read(offset, length));
        },
      };
    },
    readAll: (key, limitBytes) => askFor(key, (store) => store.readAll(key, limitBytes)),
    list: (prefix) => listed(prefix, (store) => store.list(prefix)),
    folders: (prefix) => listed(prefix, (store) => store.folders(prefix)),
    async remove(key) {
      checkKey(key);
      await onAll((store) => store.remove(key));
    },
    async removeTree(prefix) {
      checkKey(prefix);
      await onAll((store) => store.removeTree(prefix));
    },
    freeBytes: async () => Math.min(...(await onHealthy((store) => store.freeBytes()))),
    async sweepTemporary(olderThanMs, prefix) {
      const removed = await onHealthy((store) => store.sweepTemporary(olderThanMs, prefix));
      return removed.reduce((sum, count) => sum + count, 0);
    },
  };
}
