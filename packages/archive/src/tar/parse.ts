import { HeldBytes, XVaultError, type FileEntry } from "@xvault/kernel";
import { malformed, showPath, truncated } from "../failures.ts";
import { ByteQueue } from "./byte-queue.ts";
import { BLOCK, TAR_END } from "./header.ts";
import { assemble, decodeBlock, type Extensions, type Member } from "./member.ts";
import { parseDecimal } from "./numbers.ts";
import { parsePax } from "./pax.ts";
import { continueOldSparse, startOldSparse, type OldSparse } from "./old-sparse.ts";
import { parseCommaMap, SparseMapReader, toRuns } from "./sparse.ts";

/** One extended header beyond this, or all those of one member together, are malformed: they are held in memory. Bytes. */
const MAX_EXTENDED = 1024 * 1024;
const MAX_EXTENDED_TOGETHER = 4 * MAX_EXTENDED;

/** Bodies up to this are given as a whole. Bytes; the queue joins as many. */
const SHORT = 64 * 1024;

const ZERO_BLOCK = TAR_END.subarray(0, BLOCK);

/** One thing out of a tar. */
export interface TarMember {
  entry: FileEntry;
  /** Where the first header of the entry begins (its pax header, where it has one). Bytes from the start of the tar. */
  headerOffset: number;
  /** Where the body begins (behind the map of a sparse file). */
  bodyOffset: number;
  /**
   * The bytes of `bodyLength(entry)`; `HeldBytes` where they have arrived. To be read before the next member is asked for, or not at all. A piece
   * is good until the next one is asked for, the last until the next member is: its memory may have been lent.
   */
  body: AsyncIterable<Buffer>;
}

export interface ParseTarOptions {
  /** Told of members that are not a file, directory or link: FIFOs, devices, flags that we do not know. `flag` is the type flag. */
  onSkipped?: (path: Buffer, flag: string) => void;
}

/**
 * Reads a tar stream: ustar, pax ('x' and 'g'), GNU long names, base-256 numbers, sparse files in GNU's old format and in GNU.sparse 0.0, 0.1 and 1.0. A leading './'
 * is stripped, and the '/' behind a directory; the root of a tree ('./') comes with an empty path. Nothing else is normalised:
 * hostile paths are passed on as they are, for `checkEntry` to refuse.
 *
 * The stream is read to its end, zeros behind the archive included.
 *
 * @throws ARCHIVE_TRUNCATED where the stream ends before the archive does, ARCHIVE_MALFORMED, TRAILING_DATA.
 */
export async function* parseTar(
  bytes: AsyncIterable<Buffer>,
  options: ParseTarOptions = {},
): AsyncGenerator<TarMember, void, undefined> {
  const queue = new ByteQueue(bytes);
  const globals = new Map<string, Buffer>();
  let ext: Extensions | null = null;
  let extendedBytes = 0;
  try {
    for (;;) {
      if (!ext) queue.release();
      if (queue.held < BLOCK && !(await queue.fill(BLOCK))) throw truncated("its end mark is missing");
      const at = queue.position;
      const block = queue.take(BLOCK);
      if (block[0] === 0 && block.equals(ZERO_BLOCK)) {
        if (ext) throw truncated("an extended header is followed by nothing");
        await finish(queue);
        return;
      }
      const raw = decodeBlock(block);
      if (raw.flag === "x" || raw.flag === "g" || raw.flag === "L" || raw.flag === "K") {
        const data = await extended(queue, raw.size);
        extendedBytes += BLOCK + data.length;
        if (extendedBytes > MAX_EXTENDED_TOGETHER) throw malformed("an entry has too many extended headers");
        // A copy: it lives as long as the archive does.
        if (raw.flag === "g") merge(globals, parsePax(Buffer.from(data)).values);
        else {
          ext ??= fresh(at, globals);
          extend(ext, raw.flag, data);
        }
        continue;
      }
      const known: Extensions = ext ?? fresh(at, globals);
      ext = null;
      extendedBytes = 0;
      const member = assemble(raw, known);
      const padding = (BLOCK - (member.stored % BLOCK)) % BLOCK;
      if (member.type === null) {
        options.onSkipped?.(member.path, raw.flag);
        await skip(queue, member.stored + padding, member.path);
        continue;
      }
      const oldSparse = raw.flag === "S" ? await readOldSparse(block, queue) : null;
      const bodyStart = queue.position;
      const entry = oldSparse ? buildOldSparse(member, oldSparse) : await buildEntry(member, known, queue);
      const bodyOffset = queue.position;
      const length = member.stored - (bodyOffset - bodyStart);
      // A short body is waited for: most files are short, and one that has arrived costs a fraction of one that comes in pieces.
      if (length <= SHORT && queue.held < length) await queue.fill(length);
      const body = queue.holds(length) ? new HeldBytes(queue.take(length)) : new MemberBody(queue, length, member.path);
      yield { entry, headerOffset: known.start, bodyOffset, body };
      const left = (body instanceof MemberBody ? body.expire() : 0) + padding;
      if (queue.held >= left) {
        for (let rest = left; rest > 0;) rest -= queue.takeUpTo(rest).length;
      } else await skip(queue, left, member.path);
    }
  } finally {
    await queue.close();
  }
}

function skip(queue: ByteQueue, length: number, path: Buffer): Promise<void> {
  return queue.skip(length, inside(path));
}

function inside(path: Buffer): string {
  return `inside '${showPath(path)}'`;
}

function fresh(start: number, globals: Map<string, Buffer>): Extensions {
  return { start, values: new Map(globals), sparsePairs: [], longName: null, longLink: null };
}

function extend(ext: Extensions, flag: string, data: Buffer): void {
  if (flag === "x") {
    const pax = parsePax(data);
    merge(ext.values, pax.values);
    ext.sparsePairs.push(...pax.sparsePairs);
    return;
  }
  const end = data.indexOf(0);
  const text = end < 0 ? data : data.subarray(0, end);
  if (flag === "L") ext.longName = text;
  else ext.longLink = text;
}

/** An empty value takes an earlier one back. */
function merge(into: Map<string, Buffer>, values: Map<string, Buffer>): void {
  for (const [key, value] of values) {
    if (value.length === 0) into.delete(key);
    else into.set(key, value);
  }
}

async function extended(queue: ByteQueue, size: number): Promise<Buffer> {
  if (size < 0 || size > MAX_EXTENDED) throw malformed("an extended header is too large");
  const padded = Math.ceil(size / BLOCK) * BLOCK;
  if (queue.held < padded && !(await queue.fill(padded))) throw truncated("inside an extended header");
  return queue.take(padded).subarray(0, size);
}

/** The entry itself; reads the sparse map out of the data where it stands there. */
async function buildEntry(member: Member, ext: Extensions, queue: ByteQueue): Promise<FileEntry> {
  const text = (key: string) => ext.values.get(key)?.toString("latin1");
  const real = text("GNU.sparse.realsize") ?? text("GNU.sparse.size");
  if (member.type !== "file" || real === undefined) return member.build({ size: member.stored });
  const size = parseDecimal(real, "the size of a sparse file");

  if (text("GNU.sparse.major") === "1") {
    const start = queue.position;
    const map = new SparseMapReader();
    for (let done = false; !done;) {
      if (queue.position - start + BLOCK > member.stored) throw malformed("a sparse map is longer than its file");
      if (queue.held < BLOCK && !(await queue.fill(BLOCK))) throw truncated("inside a sparse map");
      done = map.push(queue.take(BLOCK));
    }
    return member.build({ size, sparse: toRuns(map.pairs(), size, member.stored - (queue.position - start)) });
  }
  const commaMap = text("GNU.sparse.map");
  const pairs = commaMap === undefined ? ext.sparsePairs : parseCommaMap(commaMap);
  return member.build({ size, sparse: toRuns(pairs, size, member.stored) });
}

/** GNU's old sparse format: the map stands in the header, and goes on in blocks behind it which its size does not count. */
async function readOldSparse(header: Buffer, queue: ByteQueue): Promise<OldSparse> {
  const map = startOldSparse(header);
  while (map.more) {
    if (queue.held < BLOCK && !(await queue.fill(BLOCK))) throw truncated("inside a sparse map");
    continueOldSparse(map, queue.take(BLOCK));
  }
  return map;
}

function buildOldSparse(member: Member, map: OldSparse): FileEntry {
  return member.build({ size: map.size, sparse: toRuns(map.pairs, map.size, member.stored) });
}

/** After the first zero block: the second, and then nothing but zeros. */
async function finish(queue: ByteQueue): Promise<void> {
  if (!(await queue.fill(BLOCK))) throw truncated("its end mark is cut");
  if (!queue.take(BLOCK).equals(ZERO_BLOCK)) throw malformed("a lone zero block stands between entries");
  while (queue.held > 0 || (await queue.fill(1))) {
    const part = queue.takeUpTo(BLOCK);
    if (!part.equals(ZERO_BLOCK.subarray(0, part.length))) throw new XVaultError("TRAILING_DATA");
  }
}

const DONE: IteratorResult<Buffer, undefined> = { value: undefined, done: true };

/** The body of the present member: slices of what the queue holds, pulled on when it holds nothing. */
class MemberBody implements AsyncIterable<Buffer>, AsyncIterator<Buffer, undefined> {
  readonly #queue: ByteQueue;
  readonly #path: Buffer;
  #left: number;
  #expired = false;

  constructor(queue: ByteQueue, length: number, path: Buffer) {
    this.#queue = queue;
    this.#left = length;
    this.#path = path;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Buffer, undefined>> {
    if (this.#expired) throw new Error("a tar member's body was read after the next member was asked for");
    if (this.#left === 0) return DONE;
    this.#queue.release();
    if (this.#queue.held === 0 && !(await this.#queue.fill(1))) throw truncated(inside(this.#path));
    const value = this.#queue.takeUpTo(this.#left);
    this.#left -= value.length;
    return { value, done: false };
  }

  async return(): Promise<IteratorResult<Buffer, undefined>> {
    return DONE;
  }

  /** Ends the life of this body; how many bytes it leaves unread. */
  expire(): number {
    this.#expired = true;
    return this.#left;
  }
}
