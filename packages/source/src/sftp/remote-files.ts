import { randomBytes } from "node:crypto";
import { XVaultError, type DataRun, type FileEntry } from "@xvault/kernel";
import { problem } from "../diagnostics.ts";
import type { TargetOptions } from "../types.ts";
import { type Attrs, OPEN, STATUS } from "./packets.ts";
import { SftpError, type SftpSession } from "./session.ts";

const MIB = 1024 * 1024;
const SET_UID = 0o4000;
const SET_GID = 0o2000;

function attrsOf(entry: FileEntry): Attrs {
  return { mode: entry.mode & 0o7777, mtime: Math.max(0, Number(entry.mtimeNs / 1_000_000_000n)) };
}

/** Writes single things on the source: beside their place first, then moved there whole. */
export class RemoteFiles {
  readonly #session: SftpSession;
  readonly #options: TargetOptions;
  readonly #temporary = new Set<string>();
  readonly #token: string | null;
  #ownersRefused = false;

  /** `token` stands in the names of temporary files, so that another attempt knows them. */
  constructor(session: SftpSession, options: TargetOptions, token: string | null = null) {
    this.#session = session;
    this.#options = options;
    this.#token = token;
  }

  /**
   * Requests that do not need each other's answers go out together, since over a long way each answer costs a round trip. What stands there in
   * the end has the size that it should have.
   *
   * @param replace false when nothing of the name was there; something that appears meanwhile is then kept.
   */
  async write(place: Buffer, entry: FileEntry, body: AsyncIterable<Buffer> | null, replace: boolean): Promise<void> {
    const temporary = this.#besides(place);
    const handle = await this.#session.open(temporary, OPEN.WRITE | OPEN.CREAT | OPEN.EXCL, { mode: 0o600 });
    try {
      try {
        const { written, isLong } = await this.#writeBody(handle, entry, body);
        // Not every server does many requests for one file in their order.
        if (isLong) await written;
        const owned = this.#setOwner(place, entry, (attrs) => this.#session.fsetstat(handle, attrs));
        owned.catch(() => {}); // waited for below
        if ((entry.mode & (SET_UID | SET_GID)) !== 0) await owned;
        // After the owner, because a change of owner takes set-id bits away; the size ends a sparse file's last hole.
        const attrs = { ...attrsOf(entry), mode: await this.#safeMode(handle, entry) };
        const set = this.#session.fsetstat(handle, { ...attrs, ...(entry.sparse ? { size: entry.size } : {}) });
        await Promise.all([written, owned, set]);
      } finally {
        await this.#session.closeHandle(handle).catch(() => {});
      }
      const moved = this.#move(temporary, place, replace);
      const atOnce = this.#session.lstat(place).catch(() => null);
      await moved;
      await this.#lookAgain(place, entry, await atOnce);
    } catch (error) {
      throw await this.#explain(place, entry.size, error);
    }
  }

  /** What stands there now has the size that was meant, and the time. `seen` may be what a server said that did not keep the order. */
  async #lookAgain(place: Buffer, entry: FileEntry, seen: Attrs | null): Promise<void> {
    const { mtime } = attrsOf(entry);
    if (seen?.size === entry.size && seen.mtime === mtime) return;
    const stands = await this.#session.lstat(place);
    if (stands.size !== undefined && stands.size !== entry.size) {
      throw new XVaultError("STORAGE_FAILED", "The target has another size than what was written to it.", {
        fix: "Check the target's disk; the restore can be run again.",
      });
    }
    if (stands.mtime !== mtime) await this.#session.setstat(place, attrsOf(entry)).catch(ignoreStatus);
  }

  async symlink(place: Buffer, target: Buffer, entry: FileEntry, replace: boolean): Promise<void> {
    const temporary = this.#besides(place);
    await this.#session.symlink(target, temporary);
    if (this.#session.has("lsetstat@openssh.com")) {
      await this.#setOwner(place, entry, (attrs) => this.#session.lsetstat(temporary, attrs));
      const { mtime } = attrsOf(entry);
      await this.#session.lsetstat(temporary, mtime === undefined ? {} : { mtime }).catch(ignoreStatus);
    }
    await this.#move(temporary, place, replace);
  }

  async hardLink(place: Buffer, holder: Buffer, entry: FileEntry, attrs: Attrs, replace: boolean): Promise<void> {
    const temporary = this.#besides(place);
    if (this.#session.has("hardlink@openssh.com")) {
      try {
        await this.#session.hardlink(holder, temporary);
        await this.#move(temporary, place, replace);
        // Renaming one name of a file over another of the same file does nothing and leaves both.
        await this.#session.remove(temporary).catch(ignoreStatus);
        return;
      } catch (error) {
        if (!(error instanceof SftpError)) throw error;
      }
    }
    this.#options.onProblem?.(
      problem(place, "unreadable", "the target cannot make hard links; it was restored as a file of its own"),
    );
    const size = attrs.size ?? 0;
    const source = await this.#session.open(holder);
    try {
      const copy: FileEntry = { ...entry, type: "file", size, mode: attrs.mode ?? entry.mode, sparse: undefined };
      await this.write(place, copy, this.#readAll(source, size), replace);
    } finally {
      await this.#session.closeHandle(source).catch(() => {});
    }
  }

  async setDirectory(path: Buffer, entry: FileEntry): Promise<void> {
    await this.#setOwner(path, entry, (attrs) => this.#session.setstat(path, attrs));
    await this.#session.setstat(path, attrsOf(entry));
  }

  /** Removes what was left half written. Never throws. */
  async removeTemporary(): Promise<void> {
    await Promise.allSettled([...this.#temporary].map((path) => this.#session.remove(Buffer.from(path, "latin1"))));
    this.#temporary.clear();
  }

  #besides(place: Buffer): Buffer {
    const slash = place.lastIndexOf(0x2f);
    const name = `.xvault-${this.#token === null ? "" : `${this.#token}-`}${randomBytes(9).toString("base64url")}.part`;
    const path = Buffer.concat([place.subarray(0, slash + 1), Buffer.from(name)]);
    this.#temporary.add(path.toString("latin1"));
    return path;
  }

  async #move(temporary: Buffer, place: Buffer, replace: boolean): Promise<void> {
    if (replace) await this.#session.replace(temporary, place);
    else await this.#session.rename(temporary, place);
    this.#temporary.delete(temporary.toString("latin1"));
  }

  /** Keeps a window of writes under way. Comes back when all are sent; `written` tells when all are done. */
  async #writeBody(
    handle: Buffer,
    entry: FileEntry,
    body: AsyncIterable<Buffer> | null,
  ): Promise<{ written: Promise<void>; isLong: boolean }> {
    const window = (this.#session.roundTripMs >= 10 ? 16 : 4) * MIB;
    const place = placer(entry.sparse ?? [{ offset: 0, length: entry.size }]);
    const underWay = new Set<Promise<void>>();
    let bytes = 0;
    let count = 0;
    const failure: { error: unknown } = { error: null };
    for await (const piece of body ?? []) {
      for (const { offset, data } of place(piece, this.#session.writeSize)) {
        while (bytes > 0 && bytes + data.length > window) await Promise.race(underWay);
        if (failure.error) throw failure.error;
        bytes += data.length;
        count += 1;
        const write = this.#session
          .write(handle, offset, data)
          .catch((error: unknown) => {
            failure.error ??= error;
          })
          .finally(() => {
            bytes -= data.length;
            underWay.delete(write);
          });
        underWay.add(write);
      }
    }
    const written = Promise.all(underWay).then(() => {
      if (failure.error) throw failure.error;
    });
    written.catch(() => {}); // waited for by the caller
    return { written, isLong: count > 1 };
  }

  /**
   * The mode to set. Where owners are not restored, set-uid and set-gid would hand out the rights of the login user: they are kept only
   * where the new file belongs to the entry's owner all the same.
   */
  async #safeMode(handle: Buffer, entry: FileEntry): Promise<number> {
    const mode = entry.mode & 0o7777;
    if ((mode & (SET_UID | SET_GID)) === 0 || (this.#options.owner && !this.#ownersRefused)) return mode;
    const made = await this.#session.fstat(handle);
    const uidKept = made.uid === entry.uid ? SET_UID : 0;
    const gidKept = made.gid === entry.gid ? SET_GID : 0;
    return (mode & ~(SET_UID | SET_GID)) | (mode & (uidKept | gidKept));
  }

  async #setOwner(path: Buffer, entry: FileEntry, set: (attrs: Attrs) => Promise<void>): Promise<void> {
    if (!this.#options.owner || this.#ownersRefused) return;
    try {
      await set({ uid: entry.uid, gid: entry.gid });
    } catch (error) {
      if (!(error instanceof SftpError)) throw error;
      this.#ownersRefused = true;
      this.#options.onProblem?.(
        problem(path, "denied", "the login user may not set owners; none were set from here on"),
      );
    }
  }

  async *#readAll(handle: Buffer, size: number): AsyncGenerator<Buffer, void, undefined> {
    for (let offset = 0; offset < size;) {
      const data = await this.#session.read(handle, offset, Math.min(this.#session.readSize, size - offset));
      if (!data) return;
      yield data;
      offset += data.length;
    }
  }

  /** SFTP has no status for a full disk: when a write fails, the file system is asked. */
  async #explain(place: Buffer, size: number, error: unknown): Promise<unknown> {
    if (!(error instanceof SftpError) || error.status !== STATUS.FAILURE) return error;
    if (!this.#session.has("statvfs@openssh.com")) return error;
    const parent = place.subarray(0, Math.max(1, place.lastIndexOf(0x2f)));
    const space = await this.#session.statvfs(parent).catch(() => null);
    if (!space || space.freeBytes > size + MIB) return error;
    return new XVaultError("SPACE_REQUIRED", "The target's disk is full.", { cause: error });
  }
}

function ignoreStatus(error: unknown): void {
  if (!(error instanceof SftpError)) throw error;
}

/** Lays bytes that come one after the other into the runs of a file, in pieces of at most `most` bytes. */
function placer(runs: readonly DataRun[]): (data: Buffer, most: number) => { offset: number; data: Buffer }[] {
  let run = 0;
  let within = 0;
  return (piece, most) => {
    const placed: { offset: number; data: Buffer }[] = [];
    for (let from = 0; from < piece.length;) {
      while (run < runs.length && within >= (runs[run]?.length ?? 0)) {
        run += 1;
        within = 0;
      }
      const current = runs[run];
      if (!current) throw new XVaultError("ARCHIVE_MALFORMED", "A file has more content than it announced.");
      const length = Math.min(piece.length - from, current.length - within, most);
      placed.push({ offset: current.offset + within, data: piece.subarray(from, from + length) });
      from += length;
      within += length;
    }
    return placed;
  };
}
