import { giveBack } from "@xvault/kernel";
import { truncated } from "../failures.ts";

/** Up to so many bytes are worth a copy to have them in one piece. */
const JOINED = 64 * 1024;

/** Takes runs of bytes out of a stream of chunks: without a promise while they are held, and without copying where one chunk has them. */
export class ByteQueue {
  readonly #source: AsyncIterator<Buffer>;
  readonly #chunks: Buffer[] = [];
  /** Chunks of which all was taken; what was taken may be slices of them. */
  readonly #spent: Buffer[] = [];
  #first = 0;
  #ended = false;
  /** Bytes that can be taken at once. */
  held = 0;
  /** Bytes taken so far. */
  position = 0;

  constructor(source: AsyncIterable<Buffer>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** Pulls until `length` bytes are held; false when the stream ends before. */
  async fill(length: number): Promise<boolean> {
    while (this.held < length) {
      if (this.#ended) return false;
      const step = await this.#source.next();
      if (step.done) this.#ended = true;
      else if (step.value.length > 0) {
        this.#chunks.push(step.value);
        this.held += step.value.length;
      }
    }
    return true;
  }

  /** Whether `length` bytes can be taken as one slice, or are so few that joining them is cheap. */
  holds(length: number): boolean {
    if (this.held < length) return false;
    return length <= JOINED || (this.#chunks[0]?.length ?? 0) - this.#first >= length;
  }

  /** Takes exactly `length` bytes, which must be held. */
  take(length: number): Buffer {
    const first = this.#chunks[0];
    if (first && first.length - this.#first >= length) return this.takeUpTo(length);
    const parts: Buffer[] = [];
    for (let left = length; left > 0;) {
      const part = this.takeUpTo(left);
      parts.push(part);
      left -= part.length;
    }
    return Buffer.concat(parts, length);
  }

  /** Takes between 1 and `length` bytes, as many as the first chunk held has. At least one byte must be held. */
  takeUpTo(length: number): Buffer {
    const first = this.#chunks[0];
    if (!first) return Buffer.alloc(0);
    const part = first.subarray(this.#first, this.#first + length);
    this.#first += part.length;
    if (this.#first === first.length) {
      this.#chunks.shift();
      this.#spent.push(first);
      this.#first = 0;
    }
    this.held -= part.length;
    this.position += part.length;
    return part;
  }

  /** Tells that whatever was taken so far is of no use to anybody any more. */
  release(): void {
    for (const chunk of this.#spent) giveBack(chunk);
    this.#spent.length = 0;
  }

  /** Drops `length` bytes. */
  async skip(length: number, what: string): Promise<void> {
    for (let left = length; left > 0;) {
      if (this.held === 0 && !(await this.fill(1))) throw truncated(what);
      left -= this.takeUpTo(left).length;
      this.release();
    }
  }

  /** Tells the source that no more is wanted. */
  async close(): Promise<void> {
    if (!this.#ended) await this.#source.return?.();
  }
}
