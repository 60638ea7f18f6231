/**
 * SFTP version 3 as OpenSSH speaks it (draft-ietf-secsh-filexfer-02 and OpenSSH's PROTOCOL file). Names are bytes throughout: ssh2's own
 * client decodes them as UTF-8, which loses those that are not.
 */
export const TYPE = {
  INIT: 1,
  VERSION: 2,
  OPEN: 3,
  CLOSE: 4,
  READ: 5,
  WRITE: 6,
  LSTAT: 7,
  FSTAT: 8,
  SETSTAT: 9,
  FSETSTAT: 10,
  OPENDIR: 11,
  READDIR: 12,
  REMOVE: 13,
  MKDIR: 14,
  RMDIR: 15,
  REALPATH: 16,
  STAT: 17,
  RENAME: 18,
  READLINK: 19,
  SYMLINK: 20,
  STATUS: 101,
  HANDLE: 102,
  DATA: 103,
  NAME: 104,
  ATTRS: 105,
  EXTENDED: 200,
  EXTENDED_REPLY: 201,
} as const;

export const STATUS = { OK: 0, EOF: 1, NO_SUCH_FILE: 2, PERMISSION_DENIED: 3, FAILURE: 4, OP_UNSUPPORTED: 8 } as const;

export const OPEN = { READ: 1, WRITE: 2, CREAT: 8, TRUNC: 16, EXCL: 32 } as const;

/** What the server tells of a thing; absent where it does not. Times in whole seconds. */
export interface Attrs {
  size?: number;
  uid?: number;
  gid?: number;
  /** Type and permission bits, as st_mode. */
  mode?: number;
  atime?: number;
  mtime?: number;
}

const HAS = { SIZE: 1, UIDGID: 2, PERMISSIONS: 4, TIMES: 8, EXTENDED: 0x80000000 } as const;

export type Kind = "file" | "dir" | "symlink" | "other" | "unknown";

/** What a thing is, from its mode. */
export function kindOf(attrs: Attrs): Kind {
  if (attrs.mode === undefined) return "unknown";
  switch (attrs.mode & 0o170000) {
    case 0o100000:
      return "file";
    case 0o040000:
      return "dir";
    case 0o120000:
      return "symlink";
    case 0:
      return "unknown";
    default:
      return "other";
  }
}

/** Builds a packet's fields one after the other. */
export class PacketWriter {
  #parts: Buffer[] = [];
  #size = 0;

  u8(value: number): this {
    return this.#add(Buffer.from([value]));
  }

  u32(value: number): this {
    const part = Buffer.allocUnsafe(4);
    part.writeUInt32BE(value >>> 0);
    return this.#add(part);
  }

  u64(value: number): this {
    const part = Buffer.allocUnsafe(8);
    part.writeBigUInt64BE(BigInt(value));
    return this.#add(part);
  }

  string(value: Buffer | string): this {
    const bytes = typeof value === "string" ? Buffer.from(value) : value;
    return this.u32(bytes.length).#add(bytes);
  }

  attrs(attrs: Attrs): this {
    let flags = 0;
    if (attrs.size !== undefined) flags |= HAS.SIZE;
    if (attrs.uid !== undefined && attrs.gid !== undefined) flags |= HAS.UIDGID;
    if (attrs.mode !== undefined) flags |= HAS.PERMISSIONS;
    if (attrs.mtime !== undefined) flags |= HAS.TIMES;
    this.u32(flags);
    if (attrs.size !== undefined) this.u64(attrs.size);
    if (flags & HAS.UIDGID) this.u32(attrs.uid ?? 0).u32(attrs.gid ?? 0);
    if (attrs.mode !== undefined) this.u32(attrs.mode);
    if (attrs.mtime !== undefined) this.u32(attrs.atime ?? attrs.mtime).u32(attrs.mtime);
    return this;
  }

  /** The packet with its length before it. */
  finish(): Buffer {
    const length = Buffer.allocUnsafe(4);
    length.writeUInt32BE(this.#size);
    return Buffer.concat([length, ...this.#parts], this.#size + 4);
  }

  #add(part: Buffer): this {
    this.#parts.push(part);
    this.#size += part.length;
    return this;
  }
}

/** Reads a packet's fields one after the other. A field that runs past the end throws a RangeError. */
export class PacketReader {
  readonly #bytes: Buffer;
  #at: number;

  constructor(bytes: Buffer, at = 0) {
    this.#bytes = bytes;
    this.#at = at;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  u32(): number {
    const value = this.#bytes.readUInt32BE(this.#at);
    this.#at += 4;
    return value;
  }

  u64(): number {
    const value = this.#bytes.readBigUInt64BE(this.#at);
    this.#at += 8;
    return Number(value);
  }

  /** A view of the packet, not a copy. */
  string(): Buffer {
    const length = this.u32();
    if (length > this.left) throw new RangeError("a string runs past the end of its packet");
    const value = this.#bytes.subarray(this.#at, this.#at + length);
    this.#at += length;
    return value;
  }

  attrs(): Attrs {
    const flags = this.u32();
    const attrs: Attrs = {};
    if (flags & HAS.SIZE) attrs.size = this.u64();
    if (flags & HAS.UIDGID) {
      attrs.uid = this.u32();
      attrs.gid = this.u32();
    }
    if (flags & HAS.PERMISSIONS) attrs.mode = this.u32();
    if (flags & HAS.TIMES) {
      attrs.atime = this.u32();
      attrs.mtime = this.u32();
    }
    if (flags & HAS.EXTENDED) {
      for (let count = this.u32(); count > 0; count--) {
        this.string();
        this.string();
      }
    }
    return attrs;
  }
}

const LARGEST = 2 * 1024 * 1024;

/** Cuts a stream of bytes into packets (type byte first, length taken off). Throws RangeError on a length that nobody would send. */
export class PacketSplitter {
  readonly #onPacket: (packet: Buffer) => void;
  #head = Buffer.alloc(4);
  #headFilled = 0;
  #packet: Buffer | null = null;
  #filled = 0;

  constructor(onPacket: (packet: Buffer) => void) {
    this.#onPacket = onPacket;
  }

  push(data: Buffer): void {
    let at = 0;
    while (at < data.length) {
      if (!this.#packet) {
        const take = Math.min(4 - this.#headFilled, data.length - at);
        data.copy(this.#head, this.#headFilled, at, at + take);
        this.#headFilled += take;
        at += take;
        if (this.#headFilled < 4) return;
        const length = this.#head.readUInt32BE(0);
        if (length === 0 || length > LARGEST) throw new RangeError(`an SFTP packet of ${length} bytes`);
        this.#headFilled = 0;
        this.#filled = 0;
        if (data.length - at >= length) {
          // Whole in this piece: a view is enough, nobody writes to it again.
          this.#onPacket(data.subarray(at, at + length));
          at += length;
          continue;
        }
        this.#packet = Buffer.allocUnsafeSlow(length);
      }
      const packet = this.#packet;
      const take = Math.min(packet.length - this.#filled, data.length - at);
      data.copy(packet, this.#filled, at, at + take);
      this.#filled += take;
      at += take;
      if (this.#filled < packet.length) return;
      this.#packet = null;
      this.#onPacket(packet);
    }
  }
}
