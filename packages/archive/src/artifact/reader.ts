import { readThrough, type ByteReader, type FileEntry, type XVaultError } from "@xvault/kernel";
import { ContentHash } from "../content.ts";
import { corrupt, malformed, showPath, throwIfAborted } from "../failures.ts";
import { entryFromIndex, type IndexEntry } from "../index/entry.ts";
import { readIndex } from "../index/lines.ts";
import { LoadCache } from "../lru.ts";
import { parseTar } from "../tar/parse.ts";

/** Headers and the map of a sparse file are no larger than this. Bytes. */
const MAX_HEAD = 16 * 1024 * 1024;
const STEP = 1024 * 1024;

/** So many earlier artifacts are held open at once. One that is needed again after it was dropped is opened again. */
const OPEN_AT_ONCE = 12;

/** The artifacts of earlier snapshots that an index may point into. */
export interface EarlierArtifacts {
  /** Whether the snapshot is one of those that the index's own manifest names. */
  has(snapshot: string): boolean;
  /** The decompressed tar of its artifact, checked and unsealed. May be called more than once for the same one. */
  open(snapshot: string): Promise<ByteReader>;
}

export interface ArtifactSource {
  /** The artifact and its index, both decompressed (`openFrames`). */
  tar: ByteReader;
  index: ByteReader;
  /** Without it, an index that points into another artifact is malformed. */
  earlier?: EarlierArtifacts | undefined;
  /** Makes bodies end with CANCELLED. */
  signal?: AbortSignal;
}

export interface ArtifactReader {
  /**
   * The entries of the index. Those whose bytes lie in this artifact come in the order of its tar; those of earlier artifacts may stand
   * anywhere among them, before the directory that they lie in too.
   *
   * @throws ARCHIVE_MALFORMED for an entry that points into an artifact which the manifest does not name.
   */
  entries(): AsyncGenerator<IndexEntry, void, undefined>;
  /**
   * The bytes of `bodyLength` of an entry, from the artifact that holds them: its range is read, nothing else.
   * Before the first byte the tar's own header is held against the index (ARCHIVE_MALFORMED); before the last chunk is given out the
   * content is held against its SHA-256 (ARTIFACT_CORRUPT). Empty for what is not a file.
   */
  body(entry: IndexEntry): AsyncGenerator<Buffer, void, undefined>;
  /** Opens the artifacts of these snapshots once, so that one which is missing, swapped or locked is found before work begins. */
  prepare(snapshots: Iterable<string>): Promise<void>;
  /** Drops what is held of earlier artifacts. It may be used again. */
  release(): void;
}

/** Opens an artifact and its index. Earlier artifacts are opened when an entry is in need of them, and only a few are held open. */
export function openArtifact(source: ArtifactSource): ArtifactReader {
  const { earlier } = source;
  const open = new LoadCache<ByteReader, string>(OPEN_AT_ONCE);
  const tarOf = (snapshot: string | undefined): Promise<ByteReader> | ByteReader => {
    if (snapshot === undefined) return source.tar;
    if (!earlier?.has(snapshot)) throw notNamed(snapshot);
    return open.peek(snapshot) ?? open.put(snapshot, earlier.open(snapshot));
  };
  return {
    entries: () => readEntries(source.index, earlier),
    body: (entry) => readBody(tarOf, entry, source.signal),
    prepare: async (snapshots) => {
      for (const snapshot of snapshots) await tarOf(snapshot);
    },
    release: () => open.clear(),
  };
}

async function* readEntries(
  index: ByteReader,
  earlier: EarlierArtifacts | undefined,
): AsyncGenerator<IndexEntry, void, undefined> {
  for await (const line of readIndex(index)) {
    if (line.snapshot !== undefined && !earlier?.has(line.snapshot)) throw notNamed(line.snapshot);
    yield line;
  }
}

function notNamed(snapshot: string): XVaultError {
  const name = showPath(Buffer.from(snapshot));
  return malformed(`its index points into snapshot ${name}, which its manifest does not name`);
}

async function* readBody(
  tarOf: (snapshot: string | undefined) => Promise<ByteReader> | ByteReader,
  line: IndexEntry,
  signal: AbortSignal | undefined,
): AsyncGenerator<Buffer, void, undefined> {
  if (line.type !== "file") return;
  const entry = entryFromIndex(line);
  const name = showPath(entry.path);
  const tar = await tarOf(line.snapshot);
  await checkHead(tar, line, entry);
  const content = new ContentHash(entry, line.body_bytes, signal);
  const check = async () => {
    if ((await content.digest()) === line.sha256) return;
    throw corrupt(`the content of '${name}' does not match its hash`, { path: name });
  };
  if (line.body_bytes === 0) await check();
  let left = line.body_bytes;
  for await (const chunk of readThrough(tar, line.body_offset, line.body_offset + line.body_bytes, STEP)) {
    throwIfAborted(signal);
    await content.update(chunk);
    left -= chunk.length;
    if (left === 0) await check();
    yield chunk;
  }
}

/** The header in the tar tells the same path, type, size and place as the index. */
async function checkHead(tar: ByteReader, line: IndexEntry, entry: FileEntry): Promise<void> {
  const headBytes = line.body_offset - line.offset;
  if (headBytes > MAX_HEAD) throw malformed("an entry's header is too large");
  const head = await tar.read(line.offset, headBytes);
  for await (const found of parseTar(once(head))) {
    const same =
      found.bodyOffset === headBytes &&
      found.headerOffset === 0 &&
      found.entry.type === entry.type &&
      found.entry.size === entry.size &&
      found.entry.path.equals(entry.path) &&
      sameRuns(found.entry, entry);
    if (same) return;
    break;
  }
  throw malformed(`the tar has something else than '${showPath(entry.path)}' where the index places it`);
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer, void, undefined> {
  yield bytes;
}

function sameRuns(a: FileEntry, b: FileEntry): boolean {
  const left = a.sparse ?? [];
  const right = (b.sparse ?? []).filter((run) => run.length > 0);
  return (
    (a.sparse === undefined) === (b.sparse === undefined) &&
    left.length === right.length &&
    left.every((run, i) => run.offset === right[i]?.offset && run.length === right[i].length)
  );
}
