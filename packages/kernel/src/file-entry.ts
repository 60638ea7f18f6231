/** What a thing in a tree is. Anything else (FIFO, socket, device) is never backed up: it is skipped and counted. */
export type EntryType = "file" | "dir" | "symlink" | "hardlink";

/** A run of bytes of a sparse file that holds data; what lies between the runs is a hole. Bytes. */
export interface DataRun {
  offset: number;
  length: number;
}

/**
 * One thing in a tree, as it is carried from a source through an archive to a target.
 *
 * Paths are bytes, because file systems keep bytes: relative, '/' between parts, no leading or trailing '/', no empty, '.' or '..' part.
 * In an archive the first part is the top folder of the source's path (see `topFolder` in the engine).
 */
export interface FileEntry {
  path: Buffer;
  type: EntryType;
  /** Content length in bytes; for a sparse file the apparent size, holes included. 0 unless `type` is 'file'. */
  size: number;
  /** Permission bits with set-id and sticky bits: 0 to 0o7777. */
  mode: number;
  uid: number;
  gid: number;
  /** Owner names where the source told them. */
  uname?: string | undefined;
  gname?: string | undefined;
  /** Modification time in nanoseconds since 1970. */
  mtimeNs: bigint;
  /** Symbolic link: its target as it stands. Hard link: the path (as above) of the entry that holds the content. */
  linkTarget?: Buffer | undefined;
  /** Sparse file: its data runs in ascending order. The body then holds these runs only, one after the other. */
  sparse?: DataRun[] | undefined;
}

/** Something on the source that could not be taken along, or only in part. Makes a run end as 'warning'. */
export interface PathProblem {
  /** As bytes, absolute on the source where known. */
  path: Buffer;
  kind: "denied" | "vanished" | "changed" | "unreadable" | "name";
  /** One sentence for people. */
  message: string;
}

/** How many body bytes follow an entry in a stream: the data runs of a sparse file, the size of another. */
export function bodyLength(entry: Pick<FileEntry, "size" | "sparse" | "type">): number {
  if (entry.type !== "file") return 0;
  if (!entry.sparse) return entry.size;
  return entry.sparse.reduce((sum, run) => sum + run.length, 0);
}
