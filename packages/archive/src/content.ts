import { createHash, hash } from "node:crypto";
import { setImmediate } from "node:timers/promises";
import type { FileEntry } from "@xvault/kernel";
import { throwIfAborted } from "./failures.ts";

const ZEROS = Buffer.alloc(256 * 1024);
/** Holes are hashed in steps of this, the event loop being let in between. Bytes. */
const STEP = 32 * 1024 * 1024;

/** Yields `length` zeros. */
function* zeros(length: number): Generator<Buffer> {
  for (let left = length; left > 0; left -= ZEROS.length) yield ZEROS.subarray(0, left);
}

/**
 * The content of a file as a program reading it sees it: the holes of a sparse file as zeros. `body` yields the bytes of
 * `bodyLength(entry)`.
 */
export async function* logicalBytes(
  entry: FileEntry,
  body: AsyncIterable<Buffer>,
): AsyncGenerator<Buffer, void, undefined> {
  if (!entry.sparse) {
    yield* body;
    return;
  }
  const walk = new RunWalk(entry);
  for await (const chunk of body) {
    for (const piece of walk.pieces(chunk)) {
      yield* zeros(piece.hole);
      yield piece.data;
    }
  }
  yield* zeros(walk.rest());
}

/** Places the bytes of a sparse file's body: what hole precedes each piece, and where the piece lies. */
export class RunWalk {
  readonly #runs: { offset: number; length: number }[];
  readonly #size: number;
  #run = 0;
  #inRun = 0;
  #reached = 0;

  constructor(entry: Pick<FileEntry, "size" | "sparse">) {
    this.#runs = entry.sparse ?? [{ offset: 0, length: entry.size }];
    this.#size = entry.size;
  }

  /** Cuts a chunk where runs end. Bytes beyond the last run are left out. */
  *pieces(chunk: Buffer): Generator<{ hole: number; offset: number; data: Buffer }> {
    for (let at = 0; at < chunk.length;) {
      let run = this.#runs[this.#run];
      while (run && this.#inRun === run.length) {
        this.#run += 1;
        this.#inRun = 0;
        run = this.#runs[this.#run];
      }
      if (!run) return;
      const offset = run.offset + this.#inRun;
      const data = chunk.subarray(at, at + run.length - this.#inRun);
      yield { hole: offset - this.#reached, offset, data };
      this.#inRun += data.length;
      this.#reached = offset + data.length;
      at += data.length;
    }
  }

  /** Bytes of the hole that ends the file, once the body is through. */
  rest(): number {
    return this.#size - this.#reached;
  }
}

/** SHA-256 of a file's logical content, fed with its body. */
export class ContentHash {
  readonly #walk: RunWalk | null;
  readonly #bodyBytes: number;
  #whole: Buffer | null = null;
  #hash: ReturnType<typeof createHash> | null = null;
  readonly #signal: AbortSignal | undefined;

  /** `bodyBytes` is `bodyLength(entry)`. The signal ends the hashing of a hole, which may be as large as a source claims. */
  constructor(entry: FileEntry, bodyBytes: number, signal?: AbortSignal) {
    this.#signal = signal;
    this.#walk = entry.sparse ? new RunWalk(entry) : null;
    this.#bodyBytes = bodyBytes;
  }

  /** Takes the next bytes; gives a promise only for sparse files. */
  update(chunk: Buffer): Promise<void> | void {
    if (this.#walk) return this.#updateSparse(this.#walk, chunk);
    if (chunk.length === this.#bodyBytes) this.#whole = chunk;
    else (this.#hash ??= createHash("sha256")).update(chunk);
  }

  async #updateSparse(walk: RunWalk, chunk: Buffer): Promise<void> {
    this.#hash ??= createHash("sha256");
    for (const piece of walk.pieces(chunk)) {
      await this.#hole(piece.hole);
      this.#hash.update(piece.data);
    }
  }

  async #hole(length: number): Promise<void> {
    this.#hash ??= createHash("sha256");
    for (let left = length; left > 0; left -= STEP) {
      for (const piece of zeros(Math.min(left, STEP))) this.#hash.update(piece);
      if (left > STEP) await setImmediate();
      throwIfAborted(this.#signal);
    }
  }

  /** The hash in hex, after the whole body. */
  async digest(): Promise<string> {
    if (this.#walk) await this.#hole(this.#walk.rest());
    if (this.#hash) return this.#hash.digest("hex");
    return hash("sha256", this.#whole ?? Buffer.alloc(0), "hex");
  }
}
