import { XVaultError } from "@xvault/kernel";
import { checkRange, ended, exists, missing, tooLarge } from "./failures.ts";
import { checkKey } from "./keys.ts";
import type { ObjectStore, ObjectWriter } from "./object-store.ts";

/** A store that lives as long as the process: for tests, and the model that the other drivers are held against. */
export function createMemoryStore({ capacityBytes = Infinity }: { capacityBytes?: number } = {}): ObjectStore {
  const objects = new Map<string, Buffer>();
  /** Keys whose writers are at work. */
  const begun = new Set<string>();
  let held = 0;

  const find = (key: string): Buffer => {
    checkKey(key);
    const found = objects.get(key);
    if (!found) throw missing(key);
    return found;
  };
  const drop = (key: string) => {
    held -= objects.get(key)?.length ?? 0;
    objects.delete(key);
  };
  const keep = (bytes: number) => {
    if (held + bytes > capacityBytes) throw new XVaultError("SPACE_REQUIRED");
    held += bytes;
  };

  return {
    async create(key) {
      checkKey(key);
      if (objects.has(key)) throw exists(key);
      begun.add(key);
      return memoryWriter(key, objects, keep, () => begun.delete(key));
    },
    async stat(key) {
      checkKey(key);
      const found = objects.get(key);
      return found ? { sizeBytes: found.length } : null;
    },
    async reader(key) {
      const found = find(key);
      return {
        size: found.length,
        async read(offset, length) {
          checkRange(key, found.length, offset, length);
          return Buffer.from(found.subarray(offset, offset + length));
        },
      };
    },
    async readAll(key, limitBytes) {
      const found = find(key);
      if (found.length > limitBytes) throw tooLarge(key, limitBytes);
      return Buffer.from(found);
    },
    async *list(prefix) {
      if (prefix !== "") checkKey(prefix);
      for (const [key, bytes] of objects) {
        if (prefix === "" || key.startsWith(`${prefix}/`)) yield { key, sizeBytes: bytes.length };
      }
    },
    async *folders(prefix) {
      if (prefix !== "") checkKey(prefix);
      const above = prefix === "" ? [] : prefix.split("/");
      const below = [...objects.keys(), ...begun].map((key) => key.split("/"));
      const inside = below.filter(
        (key) => key.length > above.length + 1 && above.every((part, at) => key[at] === part),
      );
      yield* new Set(inside.map((key) => key[above.length] ?? ""));
    },
    async remove(key) {
      checkKey(key);
      drop(key);
    },
    async removeTree(prefix) {
      checkKey(prefix);
      for (const key of objects.keys()) if (key.startsWith(`${prefix}/`)) drop(key);
    },
    freeBytes: async () => capacityBytes - held,
    sweepTemporary: async () => 0,
  };
}

function memoryWriter(
  key: string,
  objects: Map<string, Buffer>,
  keep: (bytes: number) => void,
  release: () => void,
): ObjectWriter {
  let chunks: Buffer[] = [];
  let size = 0;
  let state: "open" | "closed" | "over" = "open";

  const discard = () => {
    keep(-size);
    state = "over";
    chunks = [];
    release();
  };

  return {
    get sizeBytes() {
      return size;
    },
    async write(chunk) {
      if (state !== "open") throw ended(key);
      keep(chunk.length);
      chunks.push(Buffer.from(chunk));
      size += chunk.length;
    },
    async close() {
      if (state === "open") state = "closed";
    },
    async commit() {
      if (state === "over") throw ended(key);
      if (objects.has(key)) {
        discard();
        throw exists(key);
      }
      objects.set(key, Buffer.concat(chunks));
      state = "over";
      release();
    },
    async abort() {
      if (state !== "over") discard();
    },
  };
}
