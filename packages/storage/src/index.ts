export { type SnapshotKeys, snapshotKeys } from "./keys.ts";
export { type LocalStoreOptions, openLocalStore } from "./local-fs.ts";
export { createMemoryStore } from "./memory.ts";
export { createMirror, type Mirror, type MirrorMember } from "./mirror.ts";
export type { ObjectStore, ObjectWriter, StoredObject } from "./object-store.ts";
export { logged, type StoreCall } from "./wrappers/logged.ts";
export { readOnly } from "./wrappers/read-only.ts";
export { retrying, type RetryingOptions } from "./wrappers/retrying.ts";
export { throttled, type ThrottledOptions } from "./wrappers/throttled.ts";
