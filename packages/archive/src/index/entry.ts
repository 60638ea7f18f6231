import { isUtf8 } from "node:buffer";
import { bodyLength, type DataRun, type EntryType, type FileEntry, type PathProblem } from "@xvault/kernel";
import { malformed } from "../failures.ts";
import { formatSeconds, parseSeconds } from "../seconds.ts";

/** One line of the index: an entry, and where its bytes lie. Names in the form of the file, so that a line is this object. */
export interface IndexEntry {
  /** Exactly one of `path` and `path_b64` is there: the second, in base64, when the path is not valid UTF-8. */
  path?: string;
  path_b64?: string;
  type: EntryType;
  /** Logical size, holes included. Bytes. */
  size: number;
  /** Octal, four digits: '0644', '4755'. */
  mode: string;
  uid: number;
  gid: number;
  uname?: string;
  gname?: string;
  /** Seconds since 1970 in decimal, up to nine digits behind the point: '1700000000.123456789', '-1.5'. */
  mtime: string;
  /** Link target of a symbolic or hard link; `link_b64` when it is not valid UTF-8. */
  link?: string;
  link_b64?: string;
  /** Files: of the logical content (holes as zeros), hex. */
  sha256?: string;
  /** Id of the snapshot whose artifact holds the bytes. Absent: the snapshot that the index belongs to. */
  snapshot?: string;
  /** Place of the entry's first header in the tar. Bytes. */
  offset: number;
  /** Place of the body in the tar, behind the headers and the map of a sparse file. */
  body_offset: number;
  /** Bytes of the body: the data runs of a sparse file, the size of another, 0 for what is not a file. */
  body_bytes: number;
  /** Sparse files: [offset, length] of each data run. */
  sparse?: [number, number][];
  /** The content is not wholly what lay on the source. */
  problem?: PathProblem["kind"];
}

/** Where an entry went in the tar, and what was found on the way. */
export interface Placement {
  /** The snapshot whose artifact holds the bytes, where it is not the index's own. */
  snapshot?: string | undefined;
  offset: number;
  bodyOffset: number;
  sha256?: string | undefined;
  problem?: PathProblem["kind"] | undefined;
}

export function toIndexEntry(entry: FileEntry, placement: Placement): IndexEntry {
  const size = entry.type === "file" ? entry.size : 0;
  const mode = (entry.mode & 0o7777).toString(8).padStart(4, "0");
  const { type, uid, gid } = entry;
  const mtime = formatSeconds(entry.mtimeNs);
  const { offset, bodyOffset: body_offset } = placement;
  const body_bytes = bodyLength(entry);
  // Without a spread, which costs more than the rest: a line is made for every file.
  const line: IndexEntry = isUtf8(entry.path)
    ? { path: entry.path.toString("utf8"), type, size, mode, uid, gid, mtime, offset, body_offset, body_bytes }
    : { path_b64: entry.path.toString("base64"), type, size, mode, uid, gid, mtime, offset, body_offset, body_bytes };
  if (entry.uname) line.uname = entry.uname;
  if (entry.gname) line.gname = entry.gname;
  const link = entry.linkTarget;
  if (link && isUtf8(link)) line.link = link.toString("utf8");
  else if (link) line.link_b64 = link.toString("base64");
  if (placement.sha256 !== undefined) line.sha256 = placement.sha256;
  if (placement.snapshot !== undefined) line.snapshot = placement.snapshot;
  if (entry.sparse) line.sparse = entry.sparse.map((run) => [run.offset, run.length]);
  if (placement.problem) line.problem = placement.problem;
  return line;
}

/** The path of an index entry as bytes. */
export function indexPath(line: Pick<IndexEntry, "path" | "path_b64">): Buffer {
  return line.path !== undefined ? Buffer.from(line.path, "utf8") : Buffer.from(line.path_b64 ?? "", "base64");
}

/** The entry that an index line describes. The line must come from `readIndex` or the writer. */
export function entryFromIndex(line: IndexEntry): FileEntry {
  const mtimeNs = parseSeconds(line.mtime);
  if (mtimeNs === null) throw malformed("an index entry's mtime is not a number");
  const entry: FileEntry = {
    path: indexPath(line),
    type: line.type,
    size: line.size,
    mode: Number.parseInt(line.mode, 8),
    uid: line.uid,
    gid: line.gid,
    mtimeNs,
  };
  if (line.uname !== undefined) entry.uname = line.uname;
  if (line.gname !== undefined) entry.gname = line.gname;
  if (line.link !== undefined) entry.linkTarget = Buffer.from(line.link, "utf8");
  else if (line.link_b64 !== undefined) entry.linkTarget = Buffer.from(line.link_b64, "base64");
  if (line.sparse) entry.sparse = line.sparse.map(([offset, length]): DataRun => ({ offset, length }));
  return entry;
}
