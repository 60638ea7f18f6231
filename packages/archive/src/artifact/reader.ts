import { readThrough, type ByteReader, type FileEntry } from "@xvault/kernel";
import { ContentHash } from "../content.ts";
import { corrupt, malformed, showPath, throwIfAborted } from "../failures.ts";
import { entryFromIndex, type IndexEntry } from "../index/entry.ts";
import { readIndex } from "../index/lines.ts";
import { parseTar } from "../tar/parse.ts";

/** Headers and the map of a sparse file are no larger than this. Bytes. */
const MAX_HEAD = 16 * 1024 * 1024;
const STEP = 1024 * 1024;

export interface ArtifactReader {
  /** The entries of the index, in the order of the tar. */
  entries(): AsyncGenerator<IndexEntry, void, undefined>;
  /**
   * The bytes of `bodyLength` of an entry whose bytes lie in this artifact (see `IndexEntry.snapshot`): its range is read, nothing else.
   * Before the first byte the tar's own header is held against the index (ARCHIVE_MALFORMED); before the last chunk is given out the
   * content is held against its SHA-256 (ARTIFACT_CORRUPT). Empty for what is not a file.
   */
  body(entry: IndexEntry): AsyncGenerator<Buffer, void, undefined>;
}

/** Opens an artifact and its index, both decompressed (`openFrames`). The signal makes bodies end with CANCELLED. */
export function openArtifact(source: { tar: ByteReader; index: ByteReader; signal?: AbortSignal }): ArtifactReader {
  return {
    entries: () => readIndex(source.index),
    body: (entry) => readBody(source.tar, entry, source.signal),
  };
}

async function* readBody(
  tar: ByteReader,
  line: IndexEntry,
  signal: AbortSignal | undefined,
): AsyncGenerator<Buffer, void, undefined> {
  if (line.type !== "file") return;
  const entry = entryFromIndex(line);
  const name = showPath(entry.path);
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
