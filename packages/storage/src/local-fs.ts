import { dirname, join, relative, resolve } from "node:path";
import { randomUUID } from "@xvault/kernel";
import { checkRange, exists, guarded, missing, tooLarge, truncated } from "./failures.ts";
import { type FileOps, nodeFileOps } from "./file-ops.ts";
import { checkKey } from "./keys.ts";
import { createLocalWriter } from "./local-writer.ts";
import type { ObjectStore, StoredObject } from "./object-store.ts";

/** Temporary files begin with this, which no key's segment does. */
const TEMPORARY = ".part-";

export interface LocalStoreOptions {
  /** The directory that keys lie under. Made when it is missing, mode 0700. */
  root: string;
  files?: FileOps;
}

/**
 * Opens a directory of a local (or mounted) file system as a store: a key is a path below `root`, directories have mode 0700 and
 * files 0600. `STORAGE_FAILED` when the directory can be neither found nor made.
 */
export async function openLocalStore(options: LocalStoreOptions): Promise<ObjectStore> {
  const files = options.files ?? nodeFileOps;
  const root = resolve(options.root);
  /** Keys that writers of this process are publishing right now. */
  const publishing = new Set<string>();
  /** Temporary files whose writers live in this process: the sweep leaves them, however slow their source is. */
  const living = new Set<string>();

  const pathOf = (key: string): string => {
    checkKey(key);
    return join(root, key);
  };
  const statFile = async (key: string): Promise<{ sizeBytes: number } | null> => {
    const path = pathOf(key);
    const found = await guarded("look for an object", key, () => files.stat(path));
    return found?.kind === "file" ? { sizeBytes: found.sizeBytes } : null;
  };
  const sizeOf = async (key: string): Promise<number> => {
    const found = await statFile(key);
    if (!found) throw missing(key);
    return found.sizeBytes;
  };
  const readExactly = async (key: string, offset: number, length: number): Promise<Buffer> => {
    const bytes = await guarded("read an object", key, () => files.readFile(join(root, key), offset, length));
    if (bytes.length < length) throw truncated(key);
    return bytes;
  };

  await guarded("make its directory", "", () => makeDurably(files, root));

  return {
    async create(key) {
      const final = pathOf(key);
      if (await statFile(key)) throw exists(key);
      const directory = dirname(final);
      const temporary = join(directory, `${TEMPORARY}${randomUUID()}`);
      const file = await guarded("begin an object", key, async () => {
        await makeDurably(files, directory);
        return files.createFile(temporary);
      });
      living.add(temporary);
      let claimed = false;
      return createLocalWriter({
        key,
        files,
        file,
        temporary,
        final,
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
      });
    },
    stat: statFile,
    async reader(key) {
      const size = await sizeOf(key);
      return {
        size,
        async read(offset, length) {
          checkRange(key, size, offset, length);
          return length === 0 ? Buffer.alloc(0) : readExactly(key, offset, length);
        },
      };
    },
    async readAll(key, limitBytes) {
      const size = await sizeOf(key);
      if (size > limitBytes) throw tooLarge(key, limitBytes);
      return readExactly(key, 0, size);
    },
    async *list(prefix) {
      if (prefix !== "") checkKey(prefix);
      for await (const { path, name } of walk(files, join(root, prefix))) {
        if (name.startsWith(TEMPORARY)) continue;
        const key = relative(root, path);
        const found = await guarded("list objects", key, () => files.stat(path));
        if (found?.kind === "file") yield { key, sizeBytes: found.sizeBytes } satisfies StoredObject;
      }
    },
    async *folders(prefix) {
      const path = prefix === "" ? root : pathOf(prefix);
      for (const { name, kind } of await guarded("list objects", prefix, () => files.readDirectory(path)))
        if (kind === "directory") yield name;
    },
    async remove(key) {
      const path = pathOf(key);
      if (!(await statFile(key))) return;
      await guarded("remove an object", key, async () => {
        await files.removeFile(path);
        await files.syncDirectory(dirname(path));
      });
    },
    async removeTree(prefix) {
      const path = pathOf(prefix);
      const found = await guarded("remove objects", prefix, () => files.stat(path));
      if (found?.kind !== "directory") return;
      await guarded("remove objects", prefix, async () => {
        await files.removeDirectory(path);
        await files.syncDirectory(dirname(path));
      });
    },
    freeBytes: () => guarded("measure its free space", "", () => files.freeBytes(root)),
    async sweepTemporary(olderThanMs, prefix = "") {
      const before = Date.now() - olderThanMs;
      let removed = 0;
      for await (const { path, name } of walk(files, prefix === "" ? root : pathOf(prefix))) {
        if (!name.startsWith(TEMPORARY) || living.has(path)) continue;
        const found = await files.stat(path);
        if (!found || found.modifiedMs > before) continue;
        await guarded("remove a temporary file", "", () => files.removeFile(path));
        removed += 1;
      }
      return removed;
    },
  };
}

/** Makes a directory and sees to it that a crash does not lose it: each parent that got a new entry is synced. */
async function makeDurably(files: FileOps, path: string): Promise<void> {
  const topmost = await files.makeDirectory(path);
  if (topmost === undefined) return;
  const end = dirname(topmost);
  for (let parent = dirname(path); ; parent = dirname(parent)) {
    await files.syncDirectory(parent);
    if (parent === end) return;
  }
}

/** Every file below a directory, depth first. Symbolic links are not followed. */
async function* walk(files: FileOps, directory: string): AsyncGenerator<{ path: string; name: string }> {
  const entries = await guarded("list objects", "", () => files.readDirectory(directory));
  for (const { name, kind } of entries) {
    const path = join(directory, name);
    if (kind === "directory") yield* walk(files, path);
    else if (kind === "file") yield { path, name };
  }
}
