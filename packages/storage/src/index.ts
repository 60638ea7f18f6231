export { type SnapshotKeys, snapshotKeys } from "./keys.ts";
export { type LocalStoreOptions, openLocalStore } from "./local-fs.ts";
export { createMemoryStore } from "./memory.ts";
export type { ObjectStore, ObjectWriter, StoredObject } from "./object-store.ts";
