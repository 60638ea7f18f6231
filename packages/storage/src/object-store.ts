import type { ByteReader, ByteSink } from "@xvault/kernel";

/**
 * Takes the bytes of one new object. `close` flushes and keeps the object invisible; `commit` closes where that was not done, and
 * publishes. Bytes are in the store's hands only after `commit` has resolved.
 */
export interface ObjectWriter extends ByteSink {
  /** Bytes taken so far. */
  readonly sizeBytes: number;
  /**
   * Makes the bytes durable and visible under the key, all at once. `OBJECT_EXISTS` when the key was taken meanwhile;
   * `SPACE_REQUIRED` or `STORAGE_FAILED` when the bytes could not be made durable. After a rejection nothing is visible.
   */
  commit(): Promise<void>;
  /** Drops what was written. Does nothing after a commit. Never rejects, and may be called at any moment, repeatedly. */
  abort(): Promise<void>;
}

export interface StoredObject {
  key: string;
  sizeBytes: number;
}

/**
 * A place that keeps objects: runs of bytes under keys. Duties of every driver:
 * - keys are opaque segments separated by '/', see `checkKey`; anything else is refused with `PATH_INVALID` before it is used;
 * - objects are written once: none is ever replaced or appended to;
 * - an object appears whole or not at all, whatever breaks and whenever;
 * - a full store says `SPACE_REQUIRED`, every other failure of its own `STORAGE_FAILED` with the original as cause;
 * - calls may overlap. Retrying, throttling and logging are left to wrappers.
 */
export interface ObjectStore {
  /** Begins a new object. `OBJECT_EXISTS` when the key is taken already. */
  create(key: string): Promise<ObjectWriter>;
  /** The size of an object, or null when there is none. */
  stat(key: string): Promise<{ sizeBytes: number } | null>;
  /** Random access to an object. `ARTIFACT_MISSING` when there is none. Holds nothing open between reads; what a read gives is memory of the caller's own. */
  reader(key: string): Promise<ByteReader>;
  /** A whole small object. `ARTIFACT_MISSING` when there is none, `ARTIFACT_CORRUPT` when it is larger than `limitBytes`. */
  readAll(key: string, limitBytes: number): Promise<Buffer>;
  /** Every object below `prefix` (whole segments; '' for all), in no promised order. Objects being written are not listed. */
  list(prefix: string): AsyncIterable<StoredObject>;
  /**
   * The segments that come right after `prefix` in keys which go on below them, in no promised order. What a writer has begun counts too, be
   * it at work, or dead and leaving behind what only this shows.
   */
  folders(prefix: string): AsyncIterable<string>;
  /** Removes an object. One that is not there is no error. */
  remove(key: string): Promise<void>;
  /** Removes everything below `prefix` (whole segments, at least one), objects being written included. */
  removeTree(prefix: string): Promise<void>;
  /** How many bytes can still be written. `Infinity` where the store has no known limit. */
  freeBytes(): Promise<number>;
  /** Removes what writers that died left behind below `prefix` and did not touch for `olderThanMs`. Gives the number removed. */
  sweepTemporary(olderThanMs: number, prefix?: string): Promise<number>;
}
