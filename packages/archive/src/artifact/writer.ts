import { hash } from "node:crypto";
import {
  bodyLength,
  type DataRun,
  HeldBytes,
  isXVaultError,
  type ByteSink,
  type FileEntry,
  type PathProblem,
} from "@xvault/kernel";

import { ContentHash, logicalBytes } from "../content.ts";
import { checkEntry } from "../extract/check.ts";
import { throwIfAborted } from "../failures.ts";
import { compressFrames, type CompressOptions, type FrameSink } from "../frames/compress.ts";
import { toIndexEntry, type IndexEntry } from "../index/entry.ts";
import { indexHead, indexLine, indexTail, type IndexTotals } from "../index/lines.ts";
import { Notes } from "../index/notes.ts";
import { TAR_END, tarHeader, tarPadding } from "../tar/header.ts";

/** A sparse file with more runs is written as a plain one: its map would outweigh its holes. */
const SPARSE_RUNS_KEPT = 65_536;

const ZEROS = Buffer.alloc(256 * 1024);

export interface ArtifactWriterOptions extends CompressOptions {
  /** Takes the compressed tar. */
  artifact: ByteSink;
  /** Takes the compressed index. */
  index: ByteSink;
  signal?: AbortSignal | undefined;
  /** Told of each file that could not be stored as it was announced. `path` is the entry's. */
  onProblem?: ((problem: PathProblem) => void) | undefined;
}

/** What a finished artifact holds. */
export interface ArtifactTotals {
  files: number;
  dirs: number;
  /** Symbolic and hard links. */
  links: number;
  /** Sum of the files' sizes, holes included. */
  logicalBytes: number;
  tarBytes: number;
  /** Bytes given to the artifact's sink, the seek table included. */
  compressedBytes: number;
  /** Bytes given to the index's sink. */
  indexBytes: number;
  problems: number;
}

/** Where an earlier snapshot's artifact holds a file: what its own index says of it. */
export interface StoredBody {
  /** Id of that snapshot. */
  snapshot: string;
  /** Places in its tar, in bytes. */
  offset: number;
  bodyOffset: number;
  /** SHA-256 of the logical content, hex. */
  sha256: string;
}

export interface ArtifactWriter {
  /**
   * Appends an entry; one at a time. `body` yields the bytes of `bodyLength(entry)`; `HeldBytes` are taken at once. A body that is shorter or longer, or whose source fails
   * with SOURCE_CHANGED or PATH_DENIED, is padded with zeros or cut, and the entry marked: `problem` 'changed' or 'denied'. Any
   * other failure is thrown, and the writer is then dead.
   */
  add(entry: FileEntry, body: AsyncIterable<Buffer> | null): Promise<IndexEntry>;
  /**
   * Enters a file whose bytes lie in an earlier snapshot's artifact: a line in the index, nothing in the tar. The entry's size and holes
   * must be those that were stored there. May be called while an entry is being added.
   */
  refer(entry: FileEntry, stored: StoredBody): Promise<IndexEntry>;
  /**
   * Notes what was found out elsewhere: of an entry that was added already or will be, or of a path that there is no entry of. Not for what
   * `add` tells by `onProblem` itself.
   */
  note(problem: PathProblem): void;
  /** Ends the tar and the index and closes both sinks, the artifact's first. */
  finish(): Promise<ArtifactTotals>;
  /** Bytes so far, for progress. */
  progress(): { tarBytes: number; compressedBytes: number };
}

/**
 * Packs entries: tar → zstd frames → `artifact`, and a line for each → zstd frames → `index`. Files are hashed on the way.
 */
export function createArtifactWriter(options: ArtifactWriterOptions): ArtifactWriter {
  return new Writer(options);
}

class Writer implements ArtifactWriter {
  readonly #tar: FrameSink;
  readonly #index: FrameSink;
  readonly #signal: AbortSignal | undefined;
  readonly #onProblem: ((problem: PathProblem) => void) | undefined;
  readonly #totals: IndexTotals = { entries: 0, files: 0, dirs: 0, links: 0, logical_bytes: 0, problems: 0 };
  /** Headers are written here, one after the other: the frames copy them. */
  readonly #room = Buffer.allocUnsafeSlow(4096);
  readonly #notes = new Notes();
  #busy = false;
  #headed = false;
  #entering: Promise<void> | null = null;

  constructor(options: ArtifactWriterOptions) {
    this.#tar = compressFrames(options.artifact, options);
    this.#index = compressFrames(options.index, options);
    this.#signal = options.signal;
    this.#onProblem = options.onProblem;
  }

  async add(given: FileEntry, givenBody: AsyncIterable<Buffer> | null): Promise<IndexEntry> {
    if (this.#busy) throw new Error("entries are added one at a time, and none after a failure");
    throwIfAborted(this.#signal);
    checkEntry(given);
    this.#busy = true;
    const { entry, body } = asStored(given, givenBody);
    const offset = this.#tar.plainBytes;
    const header = this.#tar.write(tarHeader(entry, this.#room));
    if (header) await header;
    const bodyOffset = this.#tar.plainBytes;
    let sha256: string | undefined;
    let problem: PathProblem["kind"] | undefined;
    if (entry.type === "file") {
      const length = bodyLength(entry);
      if (body instanceof HeldBytes && body.bytes.length === length && !entry.sparse) {
        sha256 = hash("sha256", body.bytes, "hex");
        const copied = this.#tar.write(body.bytes);
        if (copied) await copied;
      } else {
        const content = new ContentHash(entry, length, this.#signal);
        problem = await this.#copyBody(entry.path, length, body, content);
        sha256 = await content.digest();
      }
      const padding = tarPadding(length);
      if (padding.length > 0) {
        const padded = this.#tar.write(padding);
        if (padded) await padded;
      }
    }
    const line = toIndexEntry(entry, { offset, bodyOffset, sha256, problem });
    const indexed = this.#enter(indexLine(line));
    if (indexed) await indexed;
    this.#count(entry, problem);
    this.#busy = false;
    return line;
  }

  async refer(entry: FileEntry, stored: StoredBody): Promise<IndexEntry> {
    throwIfAborted(this.#signal);
    checkEntry(entry);
    const line = toIndexEntry(entry, stored);
    this.#count(entry, undefined);
    const indexed = this.#enter(indexLine(line));
    if (indexed) await indexed;
    return line;
  }

  note(problem: PathProblem): void {
    this.#notes.add(problem);
    this.#totals.problems += 1;
  }

  /** Appends a line to the index. Lines come from `add` and `refer` at once, and a sink takes one write at a time. */
  #enter(line: Buffer): Promise<void> | void {
    const bytes = this.#headed ? line : Buffer.concat([indexHead(), line]);
    this.#headed = true;
    const before = this.#entering;
    const writing = before ? before.then(() => this.#index.write(bytes)) : this.#index.write(bytes);
    if (!writing) return;
    const settled = writing.finally(() => {
      if (this.#entering === settled) this.#entering = null;
    });
    settled.catch(() => {}); // whoever waits for the line is told
    this.#entering = settled;
    return writing;
  }

  /** Writes exactly `length` bytes whatever the body does; what was wrong with it. */
  async #copyBody(
    path: Buffer,
    length: number,
    body: AsyncIterable<Buffer> | null,
    content: ContentHash,
  ): Promise<PathProblem["kind"] | undefined> {
    let left = length;
    let problem: PathProblem | undefined;
    const take = async (chunk: Buffer) => {
      const hashed = content.update(chunk);
      if (hashed) await hashed;
      left -= chunk.length;
      const written = this.#tar.write(chunk);
      if (written) await written;
    };
    const changed = (message: string): PathProblem => ({ path, kind: "changed", message });
    try {
      for await (const chunk of body ?? []) {
        throwIfAborted(this.#signal);
        if (chunk.length > left) {
          problem = changed("The file grew while it was read; what was added is not in this snapshot.");
          if (left > 0) await take(chunk.subarray(0, left));
          break;
        }
        if (chunk.length > 0) await take(chunk);
      }
    } catch (error) {
      if (!isXVaultError(error, "SOURCE_CHANGED", "PATH_DENIED")) throw error;
      problem = { path, kind: error.code === "PATH_DENIED" ? "denied" : "changed", message: error.message };
    }
    if (left > 0) problem ??= changed(`The file ended ${left} bytes early while it was read; zeros stand for them.`);
    while (left > 0) await take(ZEROS.subarray(0, left));
    if (problem) this.#onProblem?.(problem);
    return problem?.kind;
  }

  #count(entry: FileEntry, problem: PathProblem["kind"] | undefined): void {
    const totals = this.#totals;
    totals.entries += 1;
    if (entry.type === "file") {
      totals.files += 1;
      totals.logical_bytes += entry.size;
    } else if (entry.type === "dir") totals.dirs += 1;
    else totals.links += 1;
    if (problem) totals.problems += 1;
  }

  async finish(): Promise<ArtifactTotals> {
    if (this.#busy) throw new Error("an entry is still being added, or failed");
    this.#busy = true;
    throwIfAborted(this.#signal);
    await this.#tar.write(TAR_END);
    await this.#tar.close();
    await this.#enter(indexTail(this.#totals, this.#notes.list()));
    await this.#index.close();
    const totals = this.#totals;
    return {
      files: totals.files,
      dirs: totals.dirs,
      links: totals.links,
      logicalBytes: totals.logical_bytes,
      tarBytes: this.#tar.plainBytes,
      compressedBytes: this.#tar.compressedBytes,
      indexBytes: this.#index.compressedBytes,
      problems: totals.problems,
    };
  }

  progress(): { tarBytes: number; compressedBytes: number } {
    return { tarBytes: this.#tar.plainBytes, compressedBytes: this.#tar.compressedBytes };
  }
}

function asStored(entry: FileEntry, body: AsyncIterable<Buffer> | null) {
  if (entry.type !== "file" || !entry.sparse || isKeptSparse(entry.sparse)) return { entry, body };
  return { entry: { ...entry, sparse: undefined }, body: body && logicalBytes(entry, body) };
}

/** GNU tar takes every run but the last for whole blocks, and reads what follows wrongly where one is not. File systems give such runs. */
function isKeptSparse(runs: readonly DataRun[]): boolean {
  return runs.length <= SPARSE_RUNS_KEPT && runs.slice(0, -1).every((run) => run.length % 512 === 0);
}
