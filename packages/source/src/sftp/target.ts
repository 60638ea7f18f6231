import { XVaultError, type FileEntry, type TreeTarget } from "@xvault/kernel";
import { pathError } from "../browse.ts";
import type { TargetOptions } from "../types.ts";
import { type Attrs, kindOf } from "./packets.ts";
import { RemoteFiles } from "./remote-files.ts";
import { type SftpSession, isMissing } from "./session.ts";

/** A body up to this size is taken into memory, so that many small files are written at the same time. */
const SMALL = 512 * 1024;
const JOBS = 64;

/** Opens (and makes, where missing) a directory on the source as a place to restore to. Errors as in {@link TreeTarget}. */
export async function openTarget(session: SftpSession, root: Buffer, options: TargetOptions): Promise<TreeTarget> {
  try {
    await makeRoot(session, root);
    // The root itself may lie behind links: that is the person's choice, and settled here once.
    return new SftpTarget(session, await session.realpath(root), options);
  } catch (error) {
    throw pathError(error, root.toString());
  }
}

async function makeRoot(session: SftpSession, root: Buffer): Promise<void> {
  try {
    if (kindOf(await session.stat(root)) === "dir") return;
  } catch (error) {
    if (!isMissing(error)) throw error;
    const parent = root.subarray(0, Math.max(1, root.lastIndexOf(0x2f)));
    if (parent.length < root.length) await makeRoot(session, parent);
    await session.mkdir(root, 0o755);
    return;
  }
  throw new XVaultError("ENTRY_CONFLICT", "The target is not a directory.");
}

/** The parts of an entry's path; refuses everything that could lead out of the root. */
function checkedParts(path: Buffer, code: "ENTRY_PATH_UNSAFE" | "LINK_OUTSIDE_ROOT"): string[] {
  const text = path.toString("latin1");
  const parts = text.split("/");
  if (text.includes("\0") || parts.some((part) => part === "" || part === "." || part === "..")) {
    throw new XVaultError(code, undefined, { data: { path: path.toString() } });
  }
  return parts;
}

interface KnownDirectory {
  /** Made in this run, so nothing of before lies in it. */
  fresh: boolean;
  /** From its entry: to be set at the end. */
  entry: FileEntry | null;
}

/**
 * Restores over SFTP. SFTP has no way to hold a directory open, so between looking at a parent and writing into it another user of the
 * host who may write there could put a link in its place; every parent is looked at when it is first used.
 */
class SftpTarget implements TreeTarget {
  readonly #session: SftpSession;
  readonly #root: Buffer;
  readonly #options: TargetOptions;
  readonly #files: RemoteFiles;
  readonly #directories = new Map<string, KnownDirectory>();
  /** What is being written: an entry that needs one of these waits for it. Keys are latin1 paths below the root. */
  readonly #underWay = new Map<string, Promise<void>>();
  #failure: unknown = null;

  constructor(session: SftpSession, root: Buffer, options: TargetOptions) {
    this.#session = session;
    this.#root = root;
    this.#options = options;
    this.#files = new RemoteFiles(session, options);
    this.#directories.set("", { fresh: false, entry: null });
  }

  async put(entry: FileEntry, body: AsyncIterable<Buffer> | null): Promise<"written" | "skipped"> {
    try {
      this.#check();
      return await this.#put(entry, body);
    } catch (error) {
      throw pathError(error, `/${entry.path.toString()}`);
    }
  }

  async finish(): Promise<void> {
    await this.#settle();
    this.#check();
    const known = [...this.#directories].filter(([, { entry }]) => entry !== null);
    // Children first: setting the times of a child changes nothing in its parent, but writing into it did.
    known.sort(([a], [b]) => (a < b ? 1 : -1));
    for (let from = 0; from < known.length; from += JOBS) {
      this.#check();
      await Promise.all(
        known.slice(from, from + JOBS).map(async ([path, { entry }]) => {
          if (entry) await this.#files.setDirectory(this.#absolute(path), entry);
        }),
      );
    }
  }

  async abort(): Promise<void> {
    this.#failure ??= new XVaultError("CANCELLED");
    await this.#settle();
    await this.#files.removeTemporary();
  }

  async #put(entry: FileEntry, body: AsyncIterable<Buffer> | null): Promise<"written" | "skipped"> {
    const parts = checkedParts(entry.path, "ENTRY_PATH_UNSAFE");
    const key = parts.join("/");
    await this.#underWay.get(key);
    const parent = await this.#parent(parts);
    if (entry.type === "dir") return this.#putDirectory(entry, key);
    const existing = parent.fresh ? null : await this.#lookUp(key);
    if (existing && !this.#replaces(entry, existing)) return "skipped";
    if (existing && kindOf(existing) === "dir") {
      throw new XVaultError("ENTRY_CONFLICT", "A directory stands where a file should be written.", {
        data: { path: entry.path.toString() },
      });
    }
    const place = this.#absolute(key);
    const replace = existing !== null || parent.fresh;
    switch (entry.type) {
      case "file":
        return this.#putFile(entry, body, key, place, replace);
      case "symlink": {
        const { linkTarget } = entry;
        if (!linkTarget || linkTarget.length === 0 || linkTarget.includes(0))
          throw new XVaultError("ARCHIVE_MALFORMED");
        await this.#background(key, () => this.#files.symlink(place, linkTarget, entry, replace));
        return "written";
      }
      case "hardlink":
        await this.#putHardLink(entry, place, key, replace);
        return "written";
      default:
        throw new XVaultError("ENTRY_TYPE_DENIED", undefined, { data: { path: entry.path.toString() } });
    }
  }

  async #putFile(
    entry: FileEntry,
    body: AsyncIterable<Buffer> | null,
    key: string,
    place: Buffer,
    replace: boolean,
  ): Promise<"written"> {
    if (entry.size > SMALL) {
      await this.#files.write(place, entry, body, replace);
      return "written";
    }
    const pieces: Buffer[] = [];
    if (body) for await (const piece of body) pieces.push(Buffer.from(piece));
    const content = Buffer.concat(pieces);
    await this.#background(key, () => this.#files.write(place, entry, once(content), replace));
    return "written";
  }

  async #putHardLink(entry: FileEntry, place: Buffer, key: string, replace: boolean): Promise<void> {
    const target = checkedParts(entry.linkTarget ?? Buffer.alloc(0), "LINK_OUTSIDE_ROOT");
    const targetKey = target.join("/");
    await this.#underWay.get(targetKey);
    await this.#parent(target);
    const holder = await this.#lookUp(targetKey);
    if (!holder || kindOf(holder) !== "file") {
      throw new XVaultError("LINK_OUTSIDE_ROOT", "A hard link points to what is no file below the target.", {
        data: { path: entry.path.toString() },
      });
    }
    if (targetKey === key) return;
    await this.#background(key, () => this.#files.hardLink(place, this.#absolute(targetKey), entry, holder, replace));
  }

  async #putDirectory(entry: FileEntry, key: string): Promise<"written" | "skipped"> {
    const known = this.#directories.get(key) ?? (await this.#enter(key, true));
    const overwrite = this.#options.overwrite ?? "never";
    if (!known.fresh && overwrite === "never") return "skipped";
    known.entry = entry;
    return "written";
  }

  /** The directory that holds what these parts name; each part is looked at once, made where it is missing, and never followed. */
  async #parent(parts: readonly string[]): Promise<KnownDirectory> {
    let known = this.#directories.get(parts.slice(0, -1).join("/"));
    if (known) return known;
    known = this.#directories.get("") as KnownDirectory;
    for (let depth = 1; depth < parts.length; depth++) {
      const key = parts.slice(0, depth).join("/");
      known = this.#directories.get(key) ?? (await this.#enter(key, known.fresh));
    }
    return known;
  }

  async #enter(key: string, tryMake: boolean): Promise<KnownDirectory> {
    await this.#underWay.get(key);
    const path = this.#absolute(key);
    let existing = tryMake ? null : await this.#lookUp(key);
    let fresh = false;
    if (!existing) {
      try {
        await this.#session.mkdir(path, 0o700);
        fresh = true;
      } catch (error) {
        existing = await this.#lookUp(key);
        if (!existing) throw error;
      }
    }
    if (existing && kindOf(existing) === "symlink") {
      throw new XVaultError("ENTRY_THROUGH_SYMLINK", undefined, { data: { path: path.toString() } });
    }
    if (existing && kindOf(existing) !== "dir") {
      throw new XVaultError("ENTRY_CONFLICT", "A file stands where a directory should be.", {
        data: { path: path.toString() },
      });
    }
    const known = { fresh, entry: null };
    this.#directories.set(key, known);
    return known;
  }

  async #lookUp(key: string): Promise<Attrs | null> {
    try {
      return await this.#session.lstat(this.#absolute(key));
    } catch (error) {
      if (isMissing(error)) return null;
      throw error;
    }
  }

  #replaces(entry: FileEntry, existing: Attrs): boolean {
    const seconds = Number(entry.mtimeNs / 1_000_000_000n);
    switch (this.#options.overwrite ?? "never") {
      case "always":
        return true;
      case "if-newer":
        return seconds > (existing.mtime ?? 0);
      case "if-changed":
        return seconds !== existing.mtime || (entry.type === "file" && entry.size !== existing.size);
      default:
        return false;
    }
  }

  /** Lets work go on while the next entries come; waits when a lot of it is under way. */
  async #background(key: string, work: () => Promise<void>): Promise<void> {
    while (this.#underWay.size >= JOBS) await Promise.race(this.#underWay.values());
    this.#check();
    const job = work()
      .catch((error: unknown) => {
        this.#failure ??= pathError(error, `/${Buffer.from(key, "latin1").toString()}`);
      })
      .finally(() => this.#underWay.delete(key));
    this.#underWay.set(key, job);
  }

  async #settle(): Promise<void> {
    await Promise.all(this.#underWay.values());
  }

  #check(): void {
    if (this.#options.signal?.aborted) throw new XVaultError("CANCELLED");
    if (this.#failure) throw this.#failure;
  }

  #absolute(key: string): Buffer {
    const base = this.#root.length === 1 ? Buffer.alloc(0) : this.#root;
    return key === "" ? this.#root : Buffer.concat([base, Buffer.from("/"), Buffer.from(key, "latin1")]);
  }
}

async function* once(content: Buffer): AsyncGenerator<Buffer, void, undefined> {
  if (content.length > 0) yield content;
}
