import { constants } from "node:fs";
import * as fs from "node:fs/promises";
import type { Stats } from "node:fs";
import type { Duplex } from "node:stream";
import { type Attrs, OPEN, PacketReader, PacketSplitter, PacketWriter, STATUS, TYPE } from "../sftp/packets.ts";

const MOST_HANDLES = 2048;
const MOST_READ = 255 * 1024;
const NAMES_A_TIME = 100;
const LIMITS = [256 * 1024, MOST_READ, MOST_READ, MOST_HANDLES];

/** What `opendir` gives when names are to be bytes. */
interface ByteDirectory {
  read(): Promise<{ name: Buffer } | null>;
  close(): Promise<void>;
}

/** A path that leaves what is served. */
class OutsideError extends Error {
  readonly code = "EACCES";
}

/** Serves SFTP version 3 on a channel: what lies below `root`, as '/'. Names are bytes. One request at a time. */
export function serveSftp(channel: Duplex, root: string): void {
  const server = new SftpServer(channel, Buffer.from(root));
  let queue = Promise.resolve();
  const splitter = new PacketSplitter((packet) => {
    const copy = Buffer.from(packet);
    queue = queue.then(() => server.answer(copy));
  });
  channel.on("data", (data: Buffer) => {
    try {
      splitter.push(data);
    } catch {
      channel.destroy();
    }
  });
  channel.on("error", () => {});
  channel.on("close", () => {
    queue = queue.then(() => server.close());
  });
  channel.on("end", () => channel.end());
}

class SftpServer {
  readonly #channel: Duplex;
  readonly #root: Buffer;
  readonly #files = new Map<string, fs.FileHandle>();
  readonly #directories = new Map<string, { directory: ByteDirectory; path: Buffer }>();
  #nextHandle = 1;

  constructor(channel: Duplex, root: Buffer) {
    this.#channel = channel;
    this.#root = root;
  }

  async answer(packet: Buffer): Promise<void> {
    const type = packet[0] ?? 0;
    const fields = new PacketReader(packet, 1);
    if (type === TYPE.INIT) {
      const reply = new PacketWriter().u8(TYPE.VERSION).u32(3);
      for (const name of [
        "posix-rename@openssh.com",
        "hardlink@openssh.com",
        "lsetstat@openssh.com",
        "limits@openssh.com",
      ]) {
        reply.string(name).string("1");
      }
      this.#channel.write(reply.finish());
      return;
    }
    let id = 0;
    let reply: PacketWriter;
    try {
      id = fields.u32();
      reply = await this.#perform(type, id, fields);
    } catch (error) {
      reply = status(id, statusOf(error));
    }
    if (!this.#channel.destroyed && this.#channel.writable) this.#channel.write(reply.finish());
  }

  async close(): Promise<void> {
    const open = [...this.#files.values(), ...[...this.#directories.values()].map((one) => one.directory)];
    this.#files.clear();
    this.#directories.clear();
    await Promise.allSettled(open.map((one) => one.close()));
  }

  async #perform(type: number, id: number, fields: PacketReader): Promise<PacketWriter> {
    switch (type) {
      case TYPE.LSTAT:
        return attrsReply(id, await fs.lstat(await this.#place(fields.string())));
      case TYPE.STAT:
        return attrsReply(id, await fs.stat(await this.#followed(fields.string())));
      case TYPE.REALPATH: {
        const path = await this.#followed(fields.string());
        const shown = path.equals(this.#root) ? Buffer.from("/") : path.subarray(this.#root.length);
        return new PacketWriter().u8(TYPE.NAME).u32(id).u32(1).string(shown).string("").attrs({});
      }
      case TYPE.READLINK: {
        const target = await fs.readlink(await this.#place(fields.string()), { encoding: "buffer" });
        return new PacketWriter().u8(TYPE.NAME).u32(id).u32(1).string(target).string("").attrs({});
      }
      case TYPE.OPENDIR: {
        const path = await this.#followed(fields.string());
        // Typed for strings only, but it takes 'buffer' like the rest of node:fs.
        const directory = (await fs.opendir(path, {
          encoding: "buffer" as BufferEncoding,
        })) as unknown as ByteDirectory;
        const handle = this.#handle();
        this.#directories.set(handle, { directory, path });
        return new PacketWriter().u8(TYPE.HANDLE).u32(id).string(handle);
      }
      case TYPE.READDIR:
        return this.#readDirectory(id, fields.string().toString());
      case TYPE.OPEN:
        return this.#open(id, fields);
      case TYPE.READ: {
        const file = this.#file(fields);
        const offset = fields.u64();
        const buffer = Buffer.allocUnsafe(Math.min(fields.u32(), MOST_READ));
        const { bytesRead } = await file.read(buffer, 0, buffer.length, offset);
        if (bytesRead === 0) return status(id, STATUS.EOF);
        return new PacketWriter().u8(TYPE.DATA).u32(id).string(buffer.subarray(0, bytesRead));
      }
      case TYPE.FSTAT:
        return attrsReply(id, await this.#file(fields).stat());
      case TYPE.EXTENDED: {
        const name = fields.string().toString();
        if (name === "limits@openssh.com") {
          const reply = new PacketWriter().u8(TYPE.EXTENDED_REPLY).u32(id);
          for (const limit of LIMITS) reply.u64(limit);
          return reply;
        }
        await this.#extended(name, fields);
        return status(id, STATUS.OK);
      }
      default:
        await this.#change(type, fields);
        return status(id, STATUS.OK);
    }
  }

  /** The requests that are answered by a status alone. */
  async #change(type: number, fields: PacketReader): Promise<void> {
    switch (type) {
      case TYPE.WRITE: {
        const file = this.#file(fields);
        const offset = fields.u64();
        const data = fields.string();
        await file.write(data, 0, data.length, offset);
        return;
      }
      case TYPE.CLOSE: {
        const handle = fields.string().toString();
        const open = this.#files.get(handle) ?? this.#directories.get(handle)?.directory;
        this.#files.delete(handle);
        this.#directories.delete(handle);
        await open?.close();
        return;
      }
      case TYPE.FSETSTAT: {
        const file = this.#file(fields);
        const attrs = fields.attrs();
        if (attrs.size !== undefined) await file.truncate(attrs.size);
        if (attrs.uid !== undefined && attrs.gid !== undefined) await file.chown(attrs.uid, attrs.gid);
        if (attrs.mode !== undefined) await file.chmod(attrs.mode & 0o7777);
        if (attrs.mtime !== undefined) await file.utimes(attrs.atime ?? attrs.mtime, attrs.mtime);
        return;
      }
      case TYPE.SETSTAT:
        return setAttrs(await this.#followed(fields.string()), fields.attrs());
      case TYPE.MKDIR:
        return fs.mkdir(await this.#place(fields.string()), { mode: (fields.attrs().mode ?? 0o777) & 0o7777 });
      case TYPE.RMDIR:
        return fs.rmdir(await this.#place(fields.string()));
      case TYPE.REMOVE:
        return fs.rm(await this.#place(fields.string()));
      case TYPE.SYMLINK: {
        const target = fields.string();
        return fs.symlink(target, await this.#place(fields.string()));
      }
      case TYPE.RENAME: {
        // As OpenSSH: a name that exists is not replaced.
        const from = await this.#place(fields.string());
        const to = await this.#place(fields.string());
        const taken = await fs.lstat(to).catch(() => null);
        if (taken) throw new Error("exists");
        return fs.rename(from, to);
      }
      default:
        throw Object.assign(new Error("unknown request"), { code: "ENOSYS" });
    }
  }

  async #extended(name: string, fields: PacketReader): Promise<void> {
    const first = await this.#place(fields.string());
    switch (name) {
      case "posix-rename@openssh.com":
        return fs.rename(first, await this.#place(fields.string()));
      case "hardlink@openssh.com":
        return fs.link(first, await this.#place(fields.string()));
      case "lsetstat@openssh.com": {
        const attrs = fields.attrs();
        if (attrs.uid !== undefined && attrs.gid !== undefined) await fs.lchown(first, attrs.uid, attrs.gid);
        if (attrs.mtime !== undefined) await fs.lutimes(first, attrs.atime ?? attrs.mtime, attrs.mtime);
        return;
      }
      default:
        throw Object.assign(new Error("unknown extension"), { code: "ENOSYS" });
    }
  }

  async #open(id: number, fields: PacketReader): Promise<PacketWriter> {
    const asked = fields.string();
    const wanted = fields.u32();
    const { mode } = fields.attrs();
    let flags = wanted & OPEN.WRITE ? (wanted & OPEN.READ ? constants.O_RDWR : constants.O_WRONLY) : constants.O_RDONLY;
    if (wanted & OPEN.CREAT) flags |= constants.O_CREAT;
    if (wanted & OPEN.TRUNC) flags |= constants.O_TRUNC;
    if (wanted & OPEN.EXCL) flags |= constants.O_EXCL;
    const path = wanted & OPEN.CREAT ? await this.#place(asked) : await this.#followed(asked);
    const handle = this.#handle();
    // Not blocking: a FIFO that took a file's place must not hold the server.
    const file = await fs.open(path, flags | constants.O_NONBLOCK | constants.O_NOFOLLOW, (mode ?? 0o666) & 0o7777);
    this.#files.set(handle, file);
    return new PacketWriter().u8(TYPE.HANDLE).u32(id).string(handle);
  }

  async #readDirectory(id: number, handle: string): Promise<PacketWriter> {
    const open = this.#directories.get(handle);
    if (!open) throw new Error("no such handle");
    const names: Buffer[] = [];
    while (names.length < NAMES_A_TIME) {
      const next = await open.directory.read();
      if (!next) break;
      names.push(next.name);
    }
    if (names.length === 0) return status(id, STATUS.EOF);
    const reply = new PacketWriter().u8(TYPE.NAME).u32(id).u32(names.length);
    for (const name of names) {
      const found = await fs.lstat(Buffer.concat([open.path, Buffer.from("/"), name])).catch(() => null);
      reply
        .string(name)
        .string("")
        .attrs(found ? toAttrs(found) : {});
    }
    return reply;
  }

  #handle(): string {
    if (this.#files.size + this.#directories.size >= MOST_HANDLES) throw new Error("too many open files");
    return String(this.#nextHandle++);
  }

  #file(fields: PacketReader): fs.FileHandle {
    const file = this.#files.get(fields.string().toString());
    if (!file) throw new Error("no such handle");
    return file;
  }

  /** Where a path lies, its last part not followed; its parent must lie below the root, behind links too. */
  async #place(path: Buffer): Promise<Buffer> {
    const parts: string[] = [];
    for (const part of path.toString("latin1").split("/")) {
      if (part === "..") parts.pop();
      else if (part !== "" && part !== ".") parts.push(part);
    }
    const name = parts.pop();
    if (name === undefined) return this.#root;
    const parent = await this.#within(Buffer.concat([this.#root, Buffer.from(`/${parts.join("/")}`, "latin1")]));
    return Buffer.concat([parent, Buffer.from(`/${name}`, "latin1")]);
  }

  /** Where a path leads; that must lie below the root. */
  async #followed(path: Buffer): Promise<Buffer> {
    return this.#within(await this.#place(path));
  }

  async #within(path: Buffer): Promise<Buffer> {
    const real = await fs.realpath(path, { encoding: "buffer" });
    const root = this.#root;
    if (real.equals(root) || (real.subarray(0, root.length).equals(root) && real[root.length] === 0x2f)) return real;
    throw new OutsideError();
  }
}

async function setAttrs(path: Buffer, attrs: Attrs): Promise<void> {
  if (attrs.uid !== undefined && attrs.gid !== undefined) await fs.lchown(path, attrs.uid, attrs.gid);
  if (attrs.mode !== undefined) await fs.chmod(path, attrs.mode & 0o7777);
  if (attrs.mtime !== undefined) await fs.utimes(path, attrs.atime ?? attrs.mtime, attrs.mtime);
}

function toAttrs(found: Stats): Required<Attrs> {
  return {
    size: found.size,
    uid: found.uid,
    gid: found.gid,
    mode: found.mode,
    atime: Math.max(0, Math.floor(found.atimeMs / 1000)),
    mtime: Math.max(0, Math.floor(found.mtimeMs / 1000)),
  };
}

function attrsReply(id: number, found: Stats): PacketWriter {
  return new PacketWriter().u8(TYPE.ATTRS).u32(id).attrs(toAttrs(found));
}

function status(id: number, code: number): PacketWriter {
  return new PacketWriter()
    .u8(TYPE.STATUS)
    .u32(id)
    .u32(code)
    .string(code === STATUS.OK ? "Success" : "Failure")
    .string("");
}

function statusOf(error: unknown): number {
  const code = error instanceof Error && "code" in error ? error.code : "";
  if (code === "ENOENT" || code === "ENOTDIR") return STATUS.NO_SUCH_FILE;
  if (code === "EACCES" || code === "EPERM" || code === "ELOOP") return STATUS.PERMISSION_DENIED;
  return code === "ENOSYS" ? STATUS.OP_UNSUPPORTED : STATUS.FAILURE;
}
