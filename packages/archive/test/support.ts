import { bodyLength, type ByteReader, type ByteSink, type FileEntry } from "@xvault/kernel";
import { parseTar, TAR_END, tarHeader, tarPadding, type TarMember } from "../src/index.ts";

/** A sink that keeps what it is given. */
export function memorySink(): ByteSink & { bytes(): Buffer; closed: boolean } {
  const chunks: Buffer[] = [];
  return {
    closed: false,
    write(chunk) {
      chunks.push(chunk);
    },
    async close() {
      this.closed = true;
    },
    bytes: () => Buffer.concat(chunks),
  };
}

/** A reader over a buffer that notes what was read. */
export function memoryReader(bytes: Buffer): ByteReader & { reads: { offset: number; length: number }[] } {
  const reads: { offset: number; length: number }[] = [];
  return {
    size: bytes.length,
    reads,
    async read(offset, length) {
      reads.push({ offset, length });
      return Buffer.from(bytes.subarray(offset, offset + length));
    },
  };
}

export function entry(path: string | Buffer, more: Partial<FileEntry> = {}): FileEntry {
  return {
    path: Buffer.from(path),
    type: "file",
    size: 0,
    mode: 0o644,
    uid: process.getuid?.() ?? 0,
    gid: process.getgid?.() ?? 0,
    mtimeNs: 1_700_000_000_000_000_000n,
    ...more,
  };
}

/** `bytes` in pieces of `step`. */
export async function* pieces(bytes: Buffer, step = bytes.length || 1): AsyncGenerator<Buffer, void, undefined> {
  for (let at = 0; at < bytes.length; at += step) yield bytes.subarray(at, at + step);
}

/** An archive of whole entries, made with the package's own header. */
export function tarOf(...members: [FileEntry, Buffer?][]): Buffer {
  const parts = members.flatMap(([what, body]) => [
    tarHeader(what),
    body ?? Buffer.alloc(0),
    tarPadding(bodyLength(what)),
  ]);
  return Buffer.concat([...parts, TAR_END]);
}

/** A header block made by hand, for what the package would never write. */
export function rawHeader(fields: {
  name: string | Buffer;
  flag?: string;
  link?: string;
  size?: number | Buffer;
  prefix?: string;
}): Buffer {
  const block = Buffer.alloc(512);
  Buffer.from(fields.name).copy(block, 0, 0, 100);
  block.write("0000644\x000000000\x000000000\0", 100, "latin1");
  if (Buffer.isBuffer(fields.size)) fields.size.copy(block, 124);
  else block.write((fields.size ?? 0).toString(8).padStart(11, "0"), 124, "latin1");
  block.write("14524574000", 136, "latin1");
  block.write("        ", 148, "latin1");
  block.write(fields.flag ?? "0", 156, "latin1");
  block.write(fields.link ?? "", 157, "latin1");
  block.write("ustar\x0000", 257, "latin1");
  block.write(fields.prefix ?? "", 345, "latin1");
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return block;
}

export function padded(data: Buffer | string): Buffer {
  const bytes = Buffer.from(data);
  return Buffer.concat([bytes, tarPadding(bytes.length)]);
}

/** Reads a whole tar; bodies collected. */
export async function readAll(
  bytes: AsyncIterable<Buffer>,
  onSkipped?: (path: Buffer, flag: string) => void,
): Promise<(Omit<TarMember, "body"> & { body: Buffer })[]> {
  const found: (Omit<TarMember, "body"> & { body: Buffer })[] = [];
  for await (const member of parseTar(bytes, onSkipped ? { onSkipped } : {})) {
    found.push({ ...member, body: await collect(member.body) });
  }
  return found;
}

export async function collect(bytes: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of bytes) chunks.push(chunk);
  return Buffer.concat(chunks);
}

export async function listOf<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const list: Item[] = [];
  for await (const item of items) list.push(item);
  return list;
}

/** Bytes that do not compress, the same for the same seed (xorshift). */
export function noise(length: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(Math.ceil(length / 4) * 4);
  let state = seed * 2_654_435_761 || 1;
  for (let at = 0; at < bytes.length; at += 4) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes.writeInt32LE(state | 0, at);
  }
  return bytes.subarray(0, length);
}

/** The code of the error that a promise ends with; a failure of the test when it is not one of ours. */
export async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    if (error instanceof Error && error.name === "XVaultError" && "code" in error) return String(error.code);
    throw error;
  }
  return "none";
}
