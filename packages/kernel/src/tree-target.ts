import type { FileEntry } from "./file-entry.ts";

/** What to do with a file that is there already. 'if-newer': replace when the snapshot's is newer; 'if-changed': when size or mtime differ. */
export type OverwritePolicy = "never" | "if-newer" | "if-changed" | "always";

export interface TreeTargetOptions {
  /** What to do with files that exist already. Default 'never': an existing one is kept and counted as skipped. */
  overwrite?: OverwritePolicy;
  /** Set owner and group (needs privilege). Default: only when running as root. */
  owner?: boolean;
  signal?: AbortSignal;
}

/** How much room a target has, in bytes. */
export interface TargetRoom {
  /** Whether the root was there already. */
  exists: boolean;
  /** What its file system still takes; null where that cannot be told. */
  freeBytes: number | null;
  /** Sizes of the files whose places others took so far, or would have taken. */
  replacedBytes: number;
}

/**
 * A place that a tree is restored to. Duties of every implementation:
 * - nothing is ever written outside the root, nor through a symbolic link below it (`ENTRY_PATH_UNSAFE`, `ENTRY_THROUGH_SYMLINK`,
 *   `LINK_OUTSIDE_ROOT`, `ENTRY_TYPE_DENIED`), whatever entries arrive; a rejection is thrown, never skipped in silence;
 * - a file is written beside its place under a temporary name and renamed, so that no half file is ever visible under its name;
 * - missing parent directories are made with mode 0700 widened by the entry itself when it comes;
 * - modes and times of directories are set in `finish`, children first;
 * - names are byte-exact.
 */
export interface TreeTarget {
  /**
   * Takes the next entry. `body` yields the bytes of `bodyLength(entry)`; it is consumed wholly unless the entry is skipped, or stands there
   * already as this restore wrote it in an earlier attempt ("written").
   *
   * @param sha256 of a file's logical content, hex: for targets that look again at what they wrote
   */
  put(entry: FileEntry, body: AsyncIterable<Buffer> | null, sha256?: string): Promise<"written" | "skipped">;
  /** Where the target can tell. */
  room?(): Promise<TargetRoom>;
  /** Sets what can only be set at the end. */
  finish(): Promise<void>;
  /** Removes temporary files after a failure. Never throws. `error` is why: after some of them another attempt goes on from here. */
  abort(error?: unknown): Promise<void>;
}
