import { XVaultError, type PathProblem } from "@xvault/kernel";
import { problem } from "../diagnostics.ts";
import type { Link } from "../link.ts";
import { SilenceWatch, stallError } from "../silence.ts";
import { type Attrs, OPEN, PacketReader, PacketSplitter, PacketWriter, STATUS, TYPE } from "./packets.ts";

/** A request that the server answered with something else than success. */
export class SftpError extends Error {
  readonly status: number;

  constructor(status: number, text: string) {
    super(text || `SFTP status ${status}`);
    this.name = "SftpError";
    this.status = status;
  }
}

export interface NamedAttrs {
  name: Buffer;
  attrs: Attrs;
}

const VERSION = 3;

interface Waiting {
  resolve: (reply: { type: number; fields: PacketReader }) => void;
  reject: (error: unknown) => void;
}

/**
 * A client of one SFTP subsystem. Every method sends its request at once, so requests that are not awaited one by one travel
 * together; requests of the same tick go out as one write.
 */
export class SftpSession {
  /** How many bytes one read asks for. Shrinks when the server gives less. */
  readSize = 64 * 1024;
  /** How many bytes one write may carry. */
  writeSize = 32 * 1024;
  readonly #channel: import("ssh2").ClientChannel;
  readonly #link: Link;
  readonly #waiting = new Map<number, Waiting>();
  readonly #extensions = new Map<string, string>();
  /** A server that owes an answer and sends nothing at all hangs (a FIFO that took a file's place, a dead network disk). */
  readonly #watch: SilenceWatch;
  #outbox: Buffer[] = [];
  #nextId = 1;
  #failure: XVaultError | null = null;
  #greeted: { resolve: () => void; reject: (error: unknown) => void } | null = null;

  /** @throws REMOTE_FAILED when the server has no SFTP, CONNECTION_LOST */
  static async open(link: Link): Promise<SftpSession> {
    let session: SftpSession;
    try {
      session = await link.subsystem("sftp", ({ channel }) => new SftpSession(link, channel));
    } catch (cause) {
      if (cause instanceof XVaultError) throw cause;
      throw new XVaultError("REMOTE_FAILED", "The server offers no SFTP.", { cause, retry: false });
    }
    await session.#greet();
    return session;
  }

  private constructor(link: Link, channel: import("ssh2").ClientChannel) {
    this.#link = link;
    this.#channel = channel;
    const splitter = new PacketSplitter((packet) => this.#receive(packet));
    channel.stderr.resume();
    channel.on("data", (data: Buffer) => {
      try {
        splitter.push(data);
      } catch (cause) {
        this.#fail(new XVaultError("REMOTE_FAILED", "The server's SFTP answers are malformed.", { cause }));
      }
    });
    channel.on("error", () => {});
    channel.on("end", () => this.#fail(null));
    channel.on("close", () => this.#fail(null));
    this.#watch = new SilenceWatch({
      limitMs: () => link.silence.answer,
      waiting: () => this.#waiting.size > 0 && !link.heldBack,
      onStall: (ms) => this.#fail(stallError("The server's SFTP service", ms)),
    });
  }

  get roundTripMs(): number {
    return this.#link.roundTripMs;
  }

  has(extension: string): boolean {
    return this.#extensions.has(extension);
  }

  /** Set once the session can be used no more. */
  get failure(): XVaultError | null {
    return this.#failure;
  }

  close(): void {
    this.#fail(new XVaultError("CONNECTION_LOST", "The connection was closed."));
  }

  async lstat(path: Buffer): Promise<Attrs> {
    return attrsOf(await this.#request(TYPE.LSTAT, (p) => p.string(path)));
  }

  async stat(path: Buffer): Promise<Attrs> {
    return attrsOf(await this.#request(TYPE.STAT, (p) => p.string(path)));
  }

  async fstat(handle: Buffer): Promise<Attrs> {
    return attrsOf(await this.#request(TYPE.FSTAT, (p) => p.string(handle)));
  }

  async realpath(path: Buffer): Promise<Buffer> {
    return firstName(await this.#request(TYPE.REALPATH, (p) => p.string(path)));
  }

  async readlink(path: Buffer): Promise<Buffer> {
    return firstName(await this.#request(TYPE.READLINK, (p) => p.string(path)));
  }

  async opendir(path: Buffer): Promise<Buffer> {
    return handleOf(await this.#request(TYPE.OPENDIR, (p) => p.string(path)));
  }

  /** The next names of a directory; null at its end. */
  async readdir(handle: Buffer): Promise<NamedAttrs[] | null> {
    const reply = await this.#request(TYPE.READDIR, (p) => p.string(handle), STATUS.EOF);
    if (reply.type === TYPE.STATUS) return null;
    expect(reply.type, TYPE.NAME);
    const names: NamedAttrs[] = [];
    for (let count = reply.fields.u32(); count > 0; count--) {
      const name = Buffer.from(reply.fields.string());
      reply.fields.string(); // the line that `ls -l` would print
      names.push({ name, attrs: reply.fields.attrs() });
    }
    return names;
  }

  async open(path: Buffer, flags: number = OPEN.READ, attrs: Attrs = {}): Promise<Buffer> {
    return handleOf(await this.#request(TYPE.OPEN, (p) => p.string(path).u32(flags).attrs(attrs)));
  }

  /** At most `length` bytes; null at the end of the file. */
  async read(handle: Buffer, offset: number, length: number): Promise<Buffer | null> {
    const reply = await this.#request(TYPE.READ, (p) => p.string(handle).u64(offset).u32(length), STATUS.EOF);
    if (reply.type === TYPE.STATUS) return null;
    expect(reply.type, TYPE.DATA);
    const data = reply.fields.string();
    if (data.length > length) throw new XVaultError("REMOTE_FAILED", "The server sent more than was asked for.");
    return data;
  }

  async write(handle: Buffer, offset: number, data: Buffer): Promise<void> {
    await this.#request(TYPE.WRITE, (p) => p.string(handle).u64(offset).string(data));
  }

  async closeHandle(handle: Buffer): Promise<void> {
    await this.#request(TYPE.CLOSE, (p) => p.string(handle));
  }

  async setstat(path: Buffer, attrs: Attrs): Promise<void> {
    await this.#request(TYPE.SETSTAT, (p) => p.string(path).attrs(attrs));
  }

  async fsetstat(handle: Buffer, attrs: Attrs): Promise<void> {
    await this.#request(TYPE.FSETSTAT, (p) => p.string(handle).attrs(attrs));
  }

  /** As setstat, but of a symbolic link itself. Only where `lsetstat@openssh.com` is known. */
  async lsetstat(path: Buffer, attrs: Attrs): Promise<void> {
    await this.#extended("lsetstat@openssh.com", (p) => p.string(path).attrs(attrs));
  }

  async mkdir(path: Buffer, mode: number): Promise<void> {
    await this.#request(TYPE.MKDIR, (p) => p.string(path).attrs({ mode }));
  }

  async remove(path: Buffer): Promise<void> {
    await this.#request(TYPE.REMOVE, (p) => p.string(path));
  }

  /** Fails where something of the new name exists. */
  async rename(from: Buffer, to: Buffer): Promise<void> {
    await this.#request(TYPE.RENAME, (p) => p.string(from).string(to));
  }

  /** Puts a file in the place of another in one step where the server can; else removes the other first. */
  async replace(from: Buffer, to: Buffer): Promise<void> {
    if (this.has("posix-rename@openssh.com")) {
      await this.#extended("posix-rename@openssh.com", (p) => p.string(from).string(to));
      return;
    }
    await this.remove(to).catch((error: unknown) => {
      if (!(error instanceof SftpError) || error.status !== STATUS.NO_SUCH_FILE) throw error;
    });
    await this.rename(from, to);
  }

  /** OpenSSH takes the two in the opposite order of the draft, and everybody followed. */
  async symlink(target: Buffer, path: Buffer): Promise<void> {
    await this.#request(TYPE.SYMLINK, (p) => p.string(target).string(path));
  }

  async hardlink(existing: Buffer, path: Buffer): Promise<void> {
    await this.#extended("hardlink@openssh.com", (p) => p.string(existing).string(path));
  }

  /** The file system that a path lies on. Only where `statvfs@openssh.com` is known. */
  async statvfs(path: Buffer): Promise<{ fsid: string; freeBytes: number }> {
    const reply = await this.#extended("statvfs@openssh.com", (p) => p.string(path));
    expect(reply.type, TYPE.EXTENDED_REPLY);
    const blockSize = [reply.fields.u64(), reply.fields.u64()][1] ?? 0;
    reply.fields.u64(); // blocks
    reply.fields.u64(); // free ones
    const available = reply.fields.u64();
    for (let skip = 0; skip < 3; skip++) reply.fields.u64(); // inodes
    return { fsid: String(reply.fields.u64()), freeBytes: available * blockSize };
  }

  async #greet(): Promise<void> {
    const greeted = new Promise<void>((resolve, reject) => {
      this.#greeted = { resolve, reject };
    });
    const timer = setTimeout(
      () => this.#fail(new XVaultError("REMOTE_FAILED", "The server's SFTP service does not answer.")),
      30_000,
    );
    this.#channel.write(new PacketWriter().u8(TYPE.INIT).u32(VERSION).finish());
    try {
      await greeted;
    } finally {
      clearTimeout(timer);
    }
    await this.#measure();
    if (!this.has("limits@openssh.com")) return;
    const limits = await this.#extended("limits@openssh.com", (p) => p);
    if (limits.type !== TYPE.EXTENDED_REPLY) return;
    limits.fields.u64(); // packets
    this.readSize = Math.min(Math.max(limits.fields.u64(), 32 * 1024), 255 * 1024);
    this.writeSize = Math.min(Math.max(limits.fields.u64(), 32 * 1024), 255 * 1024);
  }

  /** The quicker of two answers that cost the server nothing. */
  async #measure(): Promise<void> {
    let least = Number.POSITIVE_INFINITY;
    for (let round = 0; round < 2; round++) {
      const started = performance.now();
      await this.realpath(Buffer.from("/")).catch((error: unknown) => problemOf(Buffer.from("/"), error));
      least = Math.min(least, performance.now() - started);
    }
    this.#link.observeRoundTrip(least);
  }

  #extended(name: string, fill: (packet: PacketWriter) => PacketWriter) {
    return this.#request(TYPE.EXTENDED, (packet) => fill(packet.string(name)));
  }

  /** Sends a request and gives its answer; a status other than success and `allowed` is thrown as SftpError. */
  async #request(
    type: number,
    fill: (packet: PacketWriter) => PacketWriter,
    allowed: number = STATUS.OK,
  ): Promise<{ type: number; fields: PacketReader }> {
    if (this.#failure) throw this.#failure;
    const id = this.#nextId;
    this.#nextId = (this.#nextId + 1) >>> 0;
    if (this.#outbox.length === 0) queueMicrotask(() => this.#flush());
    this.#outbox.push(fill(new PacketWriter().u8(type).u32(id)).finish());
    const reply = await new Promise<{ type: number; fields: PacketReader }>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
    });
    if (reply.type !== TYPE.STATUS) return reply;
    const status = reply.fields.u32();
    if (status === STATUS.OK || status === allowed) return reply;
    throw new SftpError(status, reply.fields.left >= 4 ? reply.fields.string().toString() : "");
  }

  #flush(): void {
    const packets = this.#outbox;
    this.#outbox = [];
    if (this.#failure || packets.length === 0) return;
    this.#channel.write(packets.length === 1 ? packets[0] : Buffer.concat(packets));
  }

  #receive(packet: Buffer): void {
    this.#watch.heard();
    const type = packet[0] ?? 0;
    const fields = new PacketReader(packet, 1);
    if (type === TYPE.VERSION) {
      fields.u32();
      while (fields.left > 0) this.#extensions.set(fields.string().toString(), fields.string().toString());
      this.#greeted?.resolve();
      return;
    }
    const id = fields.u32();
    const waiting = this.#waiting.get(id);
    if (!waiting) throw new RangeError("an answer to nothing");
    this.#waiting.delete(id);
    waiting.resolve({ type, fields });
  }

  #fail(error: XVaultError | null): void {
    if (this.#failure) return;
    const failure = error ?? this.#link.lost ?? new XVaultError("CONNECTION_LOST");
    this.#failure = failure;
    this.#watch.stop();
    this.#channel.close();
    this.#greeted?.reject(failure);
    for (const waiting of this.#waiting.values()) waiting.reject(failure);
    this.#waiting.clear();
  }
}

function expect(found: number, wanted: number): void {
  if (found !== wanted) throw new XVaultError("REMOTE_FAILED", "The server's SFTP answers are malformed.");
}

function attrsOf(reply: { type: number; fields: PacketReader }): Attrs {
  expect(reply.type, TYPE.ATTRS);
  return reply.fields.attrs();
}

function handleOf(reply: { type: number; fields: PacketReader }): Buffer {
  expect(reply.type, TYPE.HANDLE);
  return Buffer.from(reply.fields.string());
}

function firstName(reply: { type: number; fields: PacketReader }): Buffer {
  expect(reply.type, TYPE.NAME);
  if (reply.fields.u32() < 1) throw new XVaultError("REMOTE_FAILED", "The server's SFTP answers are malformed.");
  return Buffer.from(reply.fields.string());
}

/** What a refused request means for the path it was about. Other errors are thrown again. */
export function problemOf(path: Buffer, error: unknown): PathProblem {
  if (!(error instanceof SftpError)) throw error;
  if (error.status === STATUS.PERMISSION_DENIED) return problem(path, "denied");
  if (error.status === STATUS.NO_SUCH_FILE) return problem(path, "vanished");
  return problem(path, "unreadable", error.message);
}

/** True when the error is the server's word that nothing of that name exists. */
export function isMissing(error: unknown): boolean {
  return error instanceof SftpError && error.status === STATUS.NO_SUCH_FILE;
}
