import { randomUUID } from "@xvault/kernel";
import { checkRange, exists, missing, tooLarge } from "../failures.ts";
import { checkKey } from "../keys.ts";
import type { ObjectStore } from "../object-store.ts";
import { CallFailed, type Calls, REMOTE, type RemoteEntry } from "./calls.ts";
import { createRcloneWriter } from "./writer.ts";

/** Temporary files begin with this, which no key's segment does. */
const TEMPORARY = ".part-";
/** From this depth on whole trees are listed at once: the objects of one source fit in memory, those of all of them may not. */
const DEPTH_AT_ONCE = 3;

export interface RemoteFeatures {
  /** The provider tells how much space is left. */
  About: boolean;
}

/** rclone's own words for it, and nothing alike: a list that could not be read is not an empty one. */
const isAbsent = (error: unknown) =>
  error instanceof CallFailed &&
  ((error.status === 404 && /\b(object|directory) not found/.test(error.message)) ||
    error.message.endsWith(": not a directory"));

/** A store below a path of the remote that is called. */
export function createStoreAt(calls: Calls, root: string, features: RemoteFeatures): ObjectStore {
  /** Keys that writers of this process are publishing right now. */
  const publishing = new Set<string>();
  /** Writers at work, by the path of their temporary files: the sweep leaves those, however slow their source is. */
  const living = new Map<string, { key: string; abort(): Promise<void> }>();

  const at = (key: string) => [root, key].filter((part) => part !== "").join("/");
  const folderOf = (path: string) => path.slice(0, Math.max(0, path.lastIndexOf("/")));
  const keyOf = (path: string) => (root === "" ? path : path.slice(root.length + 1));
  /** Runs a call; gives `otherwise` where there is nothing to do it to. */
  const unlessAbsent = async <T>(operation: string, key: string, run: Promise<T>, otherwise: T): Promise<T> => {
    try {
      return await run;
    } catch (error) {
      if (isAbsent(error)) return otherwise;
      throw calls.inWords(error, operation, key);
    }
  };
  const sizeAt = async (path: string, key: string): Promise<number | null> => {
    const answer = await unlessAbsent("look for an object", key, calls.ask("operations/stat", { remote: path }), {});
    const item = (answer as { item?: RemoteEntry | null }).item;
    return item && !item.IsDir ? item.Size : null;
  };
  const stat = async (key: string) => {
    checkKey(key);
    const sizeBytes = await sizeAt(at(key), key);
    return sizeBytes === null ? null : { sizeBytes };
  };
  const sizeOf = async (key: string): Promise<number> => {
    const found = await stat(key);
    if (!found) throw missing(key);
    return found.sizeBytes;
  };
  const entriesOf = async (folder: string, opt: Record<string, boolean>): Promise<RemoteEntry[]> => {
    const asked = calls.ask("operations/list", { remote: folder, opt: { noMimeType: true, ...opt } });
    const answer = await unlessAbsent("list objects", keyOf(folder), asked, {});
    return (answer as { list?: RemoteEntry[] | null }).list ?? [];
  };
  /** Every file below a folder, folder by folder as far as there may be very many. */
  const filesBelow = async function* (folder: string, times: boolean): AsyncGenerator<RemoteEntry> {
    const depth = keyOf(folder).split("/").filter(Boolean).length;
    const recurse = depth >= DEPTH_AT_ONCE;
    for (const entry of await entriesOf(folder, { recurse, noModTime: !times })) {
      if (!entry.IsDir) yield entry;
      else if (!recurse) yield* filesBelow(entry.Path, times);
    }
  };
  /** Removes; when that fails because somebody else did, in whatever words, it is done. */
  const removeBy = async (method: string, path: string, key: string, isGone: () => Promise<boolean>): Promise<void> => {
    try {
      await calls.ask(method, { remote: path });
    } catch (error) {
      if (!isAbsent(error) && !(await isGone())) throw calls.inWords(error, "remove objects", key);
    }
  };
  const remove = (path: string, key: string) =>
    removeBy("operations/deletefile", path, key, async () => (await sizeAt(path, key)) === null);

  return {
    async create(key) {
      if (await stat(key)) throw exists(key);
      const final = at(key);
      const folder = folderOf(final);
      const name = `${TEMPORARY}${randomUUID()}`;
      const temporary = folder === "" ? name : `${folder}/${name}`;
      let claimed = false;
      const writer = createRcloneWriter({
        key,
        upload: await calls.upload(folder, name),
        temporarySize: () => sizeAt(temporary, key),
        finalSize: () => sizeAt(final, key),
        async rename() {
          const sides = { srcFs: REMOTE, srcRemote: temporary, dstFs: REMOTE, dstRemote: final };
          await calls.ask("operations/movefile", sides);
        },
        removeTemporary: () => remove(temporary, key),
        removeFinal: () => remove(final, key),
        claim() {
          if (publishing.has(key)) return false;
          publishing.add(key);
          claimed = true;
          return true;
        },
        release() {
          living.delete(temporary);
          if (claimed) publishing.delete(key);
          claimed = false;
        },
        inWords: (error, operation) => calls.inWords(error, operation, key),
      });
      living.set(temporary, { key, abort: () => writer.abort() });
      return writer;
    },
    stat,
    async reader(key) {
      const size = await sizeOf(key);
      return {
        size,
        async read(offset, length) {
          checkRange(key, size, offset, length);
          return length === 0 ? Buffer.alloc(0) : calls.read(key, at(key), offset, length);
        },
      };
    },
    async readAll(key, limitBytes) {
      const size = await sizeOf(key);
      if (size > limitBytes) throw tooLarge(key, limitBytes);
      return size === 0 ? Buffer.alloc(0) : calls.read(key, at(key), 0, size);
    },
    async *list(prefix) {
      if (prefix !== "") checkKey(prefix);
      for await (const { Path, Name, Size } of filesBelow(at(prefix), false))
        if (!Name.startsWith(TEMPORARY)) yield { key: keyOf(Path), sizeBytes: Size };
    },
    async *folders(prefix) {
      if (prefix !== "") checkKey(prefix);
      const names = new Set<string>();
      for (const { Name, IsDir } of await entriesOf(at(prefix), { dirsOnly: true, noModTime: true }))
        if (IsDir) names.add(Name);
      // What is being uploaded need not show yet.
      const above = prefix === "" ? [] : prefix.split("/");
      for (const { key } of living.values()) {
        const parts = key.split("/");
        if (parts.length > above.length + 1 && above.every((part, depth) => parts[depth] === part))
          names.add(parts[above.length] ?? "");
      }
      yield* names;
    },
    async remove(key) {
      if (await stat(key)) await remove(at(key), key);
    },
    async removeTree(prefix) {
      checkKey(prefix);
      const writers = [...living.values()].filter(({ key }) => key.startsWith(`${prefix}/`));
      await Promise.all(writers.map((writer) => writer.abort()));
      const isEmpty = async () => (await entriesOf(at(prefix), { noModTime: true })).length === 0;
      await removeBy("operations/purge", at(prefix), prefix, isEmpty);
    },
    async freeBytes() {
      if (!features.About) return Infinity;
      const answer = await unlessAbsent("measure its free space", "", calls.ask("operations/about", {}), {});
      return typeof answer["free"] === "number" ? answer["free"] : Infinity;
    },
    async sweepTemporary(olderThanMs, prefix = "") {
      if (prefix !== "") checkKey(prefix);
      const before = Date.now() - olderThanMs;
      let removed = 0;
      for await (const { Path, Name, ModTime } of filesBelow(at(prefix), true)) {
        if (!Name.startsWith(TEMPORARY) || living.has(Path) || !(Date.parse(ModTime) <= before)) continue;
        await remove(Path, keyOf(Path));
        removed += 1;
      }
      return removed;
    },
  };
}
