/**
 * Where bytes go. Stages of a pipeline are sinks that wrap the next sink; a stage does not know its neighbours.
 * Duties: `write` resolves when the sink can take more (this is the backpressure); chunks are not changed by either side
 * afterwards; `close` flushes what is held and closes the next sink; after a rejection the sink is dead and is only dropped.
 */
export interface ByteSink {
  write(chunk: Buffer): Promise<void> | void;
  close(): Promise<void>;
}

/**
 * Bytes that lie in memory as a whole. Iterating gives them as one piece (none where there are none); whoever knows this class takes `bytes`
 * and needs no promise, of which a million small files would cost millions.
 */
export class HeldBytes implements AsyncIterable<Buffer> {
  readonly bytes: Buffer;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer, void, undefined> {
    if (this.bytes.length > 0) yield this.bytes;
  }
}

/**
 * Random access to a run of bytes that does not change: a stored object, or a view of one (verified, decrypted, decompressed).
 * Duties: `read` gives exactly `length` bytes, or throws (`ARCHIVE_TRUNCATED` when they are not there); calls may overlap.
 */
export interface ByteReader {
  /** Bytes in all. */
  readonly size: number;
  read(offset: number, length: number): Promise<Buffer>;
}

/** Streams the bytes from `start` up to but not including `end`, `step` bytes a piece, reading one piece ahead. */
export async function* readThrough(
  reader: ByteReader,
  start = 0,
  end: number = reader.size,
  step = 4 * 1024 * 1024,
): AsyncGenerator<Buffer, void, undefined> {
  const fetch = (at: number) => {
    const piece = reader.read(at, Math.min(step, end - at));
    piece.catch(() => {}); // reported when it is awaited below
    return piece;
  };
  if (start >= end) return;
  let next = fetch(start);
  for (let at = start; at < end; at += step) {
    const piece = next;
    if (at + step < end) next = fetch(at + step);
    yield await piece;
  }
}
