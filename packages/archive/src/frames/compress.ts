import type { ByteSink } from "@xvault/kernel";
import { checkFrameCount, encodeSeekTable, type FrameSize } from "./seek-table.ts";
import { compressFrame, MAX_FRAME_BYTES } from "./zstd.ts";

/** Frames of this size are the default: the window of level 3, and little to read for one small file. Bytes. */
export const DEFAULT_FRAME_BYTES = 2 * 1024 * 1024;

const IN_FLIGHT = 2;

export interface CompressOptions {
  /** Plain bytes in a frame. Up to 16 MiB. */
  frameBytes?: number | undefined;
  /** zstd's level. Default 3. */
  level?: number | undefined;
}

/** A sink that compresses what is written to it. */
export interface FrameSink extends ByteSink {
  /** The frames passed on so far, in order. */
  readonly frames: readonly FrameSize[];
  /** Bytes written to this sink. */
  readonly plainBytes: number;
  /** Bytes passed on, with the seek table once closed. */
  readonly compressedBytes: number;
}

/**
 * Cuts what is written into independent zstd frames, and ends with the seek table of the zstd seekable format. Frames are
 * compressed on the thread pool, two at a time, and passed on in order. `write` copies and returns without a promise
 * except when a frame is full.
 */
export function compressFrames(next: ByteSink, options: CompressOptions = {}): FrameSink {
  const frameBytes = options.frameBytes ?? DEFAULT_FRAME_BYTES;
  if (!Number.isInteger(frameBytes) || frameBytes < 1 || frameBytes > MAX_FRAME_BYTES) {
    throw new RangeError(`frameBytes must be between 1 and ${MAX_FRAME_BYTES}`);
  }
  return new Compressor(next, frameBytes, options.level ?? 3);
}

class Compressor implements FrameSink {
  readonly #next: ByteSink;
  readonly #frameBytes: number;
  readonly #level: number;
  readonly #spare: Buffer[] = [];
  readonly #jobs: Promise<void>[] = [];
  readonly frames: FrameSize[] = [];
  #tail: Promise<void> = Promise.resolve();
  #frame: Buffer | null = null;
  #filled = 0;
  /** What is expected to be left of a byte. */
  #share = 1;
  plainBytes = 0;
  compressedBytes = 0;

  constructor(next: ByteSink, frameBytes: number, level: number) {
    this.#next = next;
    this.#frameBytes = frameBytes;
    this.#level = level;
  }

  write(chunk: Buffer): Promise<void> | void {
    this.plainBytes += chunk.length;
    const taken = this.#copy(chunk, 0);
    if (this.#filled === this.#frameBytes) return this.#writeOn(chunk, taken);
  }

  async #writeOn(chunk: Buffer, from: number): Promise<void> {
    await this.#send();
    for (let at = from; at < chunk.length;) {
      at = this.#copy(chunk, at);
      if (this.#filled === this.#frameBytes) await this.#send();
    }
  }

  /** Copies what fits into the present frame; where in the chunk that ends. */
  #copy(chunk: Buffer, from: number): number {
    this.#frame ??= this.#spare.pop() ?? Buffer.allocUnsafeSlow(this.#frameBytes);
    const copied = chunk.copy(this.#frame, this.#filled, from);
    this.#filled += copied;
    return from + copied;
  }

  /** Starts to compress the present frame; waits only while two are under way. */
  async #send(): Promise<void> {
    if (!this.#frame || this.#filled === 0) return;
    checkFrameCount(this.frames.length + this.#jobs.length + 1);
    if (this.#jobs.length >= IN_FLIGHT) await this.#jobs[0];
    const buffer = this.#frame;
    const plain = buffer.subarray(0, this.#filled);
    this.#frame = null;
    this.#filled = 0;
    const packed = compressFrame(plain, this.#level, this.#share);
    packed.catch(() => {}); // reported by the job, which awaits it after its predecessors
    const job = this.#passOn(this.#tail, packed, plain.length, buffer);
    job.catch(() => {}); // reported to the writer that waits for it next
    this.#tail = job;
    this.#jobs.push(job);
  }

  async #passOn(before: Promise<void>, packing: Promise<Buffer>, plain: number, buffer: Buffer): Promise<void> {
    await before;
    const packed = await packing;
    // What follows is likely to be of its kind. A guess that is a little too high costs nothing.
    const compressed = packed.length;
    this.#share = (compressed / plain) * 1.08;
    this.#spare.push(buffer);
    await this.#next.write(packed);
    this.frames.push({ compressed, plain });
    this.compressedBytes += compressed;
    void this.#jobs.shift(); // itself: jobs end in order
  }

  async close(): Promise<void> {
    await this.#send();
    await this.#tail;
    const table = encodeSeekTable(this.frames);
    await this.#next.write(table);
    this.compressedBytes += table.length;
    await this.#next.close();
  }
}
