import { randomBytes } from "node:crypto";
import { constants, lstatSync, readlinkSync, renameSync, type BigIntStats } from "node:fs";
import { lchown, link, lutimes, mkdir, open, readlink, realpath, statfs, symlink, unlink } from "node:fs/promises";
import { type TargetRoom, XVaultError, type FileEntry, type TreeTarget, type TreeTargetOptions } from "@xvault/kernel";
import { showPath, throwIfAborted } from "../failures.ts";
import { checkEntry } from "./check.ts";
import { targetFailure } from "./fs-errors.ts";
import { isNewer, looksSame, modeFor, timeOf, writeFile } from "./local-file.ts";
import { Parents } from "./parents.ts";

const DIRECTORY = constants.O_RDONLY | (constants.O_DIRECTORY ?? 0) | (constants.O_NOFOLLOW ?? 0);

/**
 * A directory on this machine as a target. It is made where it is missing; what a symbolic link at `root` itself points to is the
 * root. See {@link TreeTarget} for the duties.
 *
 * Directories keep 0700 until `finish`; one that was there before keeps its own mode and times under the policy 'never'. Memory
 * follows the number of directories, not of files. Nobody else may change the tree meanwhile: Node has no openat, so a parent is checked
 * before it is used, not held.
 *
 * @throws (from `put`) the codes of `checkEntry`, ENTRY_THROUGH_SYMLINK, ENTRY_CONFLICT (a directory stands where something else should, or
 * the reverse), ARCHIVE_MALFORMED (a hard link to what is not there), ARCHIVE_TRUNCATED (a body that is too short or too long),
 * SPACE_REQUIRED, PATH_DENIED, STORAGE_FAILED, CANCELLED.
 */
export async function createLocalTarget(root: string, options: TreeTargetOptions = {}): Promise<TreeTarget> {
  try {
    await mkdir(root, { recursive: true, mode: 0o700 });
    const real = await realpath(root, { encoding: "buffer" });
    return new LocalTarget(Buffer.concat([real, Buffer.from("/")]), options);
  } catch (error) {
    throw targetFailure(error, Buffer.from(root));
  }
}

class LocalTarget implements TreeTarget {
  readonly #root: Buffer;
  readonly #options: TreeTargetOptions;
  readonly #owner: boolean;
  readonly #parents: Parents;
  readonly #temporary = new Set<Buffer>();
  readonly #directories: FileEntry[] = [];
  readonly #token = randomBytes(6).toString("hex");
  #count = 0;
  #replaced = 0;

  constructor(root: Buffer, options: TreeTargetOptions) {
    this.#root = root;
    this.#options = options;
    this.#owner = options.owner ?? process.getuid?.() === 0;
    this.#parents = new Parents(root);
  }

  async put(entry: FileEntry, body: AsyncIterable<Buffer> | null, sha256?: string): Promise<"written" | "skipped"> {
    checkEntry(entry);
    throwIfAborted(this.#options.signal);
    try {
      await this.#parents.ensure(entry.path);
      if (entry.type === "dir") return await this.#putDirectory(entry);
      if (this.#isKept(entry)) return "skipped";
      if (entry.type === "file") await this.#putFile(entry, body, sha256);
      else if (entry.type === "symlink") await this.#putSymlink(entry, entry.linkTarget ?? Buffer.alloc(0));
      else await this.#putHardLink(entry, entry.linkTarget ?? Buffer.alloc(0));
      return "written";
    } catch (error) {
      throw targetFailure(error, entry.path);
    }
  }

  async #putDirectory(entry: FileEntry): Promise<"written" | "skipped"> {
    const made = await this.#parents.makeDirectory(entry.path);
    if (!made && this.#policy === "never" && !this.#parents.made(entry.path)) return "skipped";
    this.#directories.push(entry);
    return "written";
  }

  get #policy() {
    return this.#options.overwrite ?? "never";
  }

  /** Whether what stands at the entry's place stays, by the policy. */
  #isKept(entry: FileEntry): boolean {
    const found = this.#lstat(entry.path);
    if (!found) return false;
    if (found.isDirectory()) {
      throw new XVaultError("ENTRY_CONFLICT", `'${showPath(entry.path)}' is there already and is a directory.`, {
        data: { path: showPath(entry.path) },
      });
    }
    const isKept = this.#keeps(entry, found);
    if (!isKept) this.#replaced += Number(found.size);
    return isKept;
  }

  #keeps(entry: FileEntry, found: BigIntStats): boolean {
    switch (this.#policy) {
      case "never":
        return true;
      case "if-newer":
        return !isNewer(entry, found);
      case "if-changed":
        return looksSame(entry, found) || this.#isSameLink(entry, found);
      default:
        return false;
    }
  }

  #isSameLink(entry: FileEntry, found: BigIntStats): boolean {
    if (entry.type !== "symlink" || !found.isSymbolicLink() || !entry.linkTarget) return false;
    return readlinkSync(this.#full(entry.path), { encoding: "buffer" }).equals(entry.linkTarget);
  }

  #lstat(path: Buffer): BigIntStats | undefined {
    return lstatSync(this.#full(path), { bigint: true, throwIfNoEntry: false });
  }

  async #putFile(entry: FileEntry, body: AsyncIterable<Buffer> | null, sha256: string | undefined): Promise<void> {
    await this.#beside(entry.path, (temporary) =>
      writeFile(temporary, entry, body, { owner: this.#owner, signal: this.#options.signal, sha256 }),
    );
  }

  async room(): Promise<TargetRoom> {
    const { bavail, bsize } = await statfs(this.#root);
    return { exists: true, freeBytes: bavail * bsize, replacedBytes: this.#replaced };
  }

  async #putSymlink(entry: FileEntry, target: Buffer): Promise<void> {
    await this.#beside(entry.path, async (temporary) => {
      await symlink(target, temporary);
      if (this.#owner) await lchown(temporary, entry.uid, entry.gid);
      await lutimes(temporary, Date.now() / 1000, timeOf(entry.mtimeNs));
    });
  }

  /** Owner, mode and times belong to the file that the link leads to, so they are not touched. */
  async #putHardLink(entry: FileEntry, target: Buffer): Promise<void> {
    await this.#parents.ensure(target);
    const found = this.#lstat(target);
    if (!found || found.isDirectory()) {
      throw new XVaultError(
        "ARCHIVE_MALFORMED",
        `The hard link '${showPath(entry.path)}' leads to nothing that was restored.`,
        {
          data: { path: showPath(entry.path) },
        },
      );
    }
    if (target.equals(entry.path)) return;
    // Whether link() follows a symbolic link differs between systems: a second one is made instead.
    if (found.isSymbolicLink()) {
      await this.#putSymlink(
        { ...entry, mtimeNs: found.mtimeNs, uid: Number(found.uid), gid: Number(found.gid) },
        await readlink(this.#full(target), { encoding: "buffer" }),
      );
      return;
    }
    await this.#beside(entry.path, (temporary) => link(this.#full(target), temporary));
    // rename() of one name of a file onto another name of the same file leaves both.
    await this.#unlinkQuietly(this.#temporaryOf(entry.path));
  }

  /** Makes something under a temporary name in the entry's own directory, and renames it. */
  async #beside(path: Buffer, make: (temporary: Buffer) => Promise<void>): Promise<void> {
    this.#count += 1;
    const temporary = this.#temporaryOf(path);
    this.#temporary.add(temporary);
    try {
      await make(temporary);
      renameSync(temporary, this.#full(path));
    } catch (error) {
      await this.#unlinkQuietly(temporary);
      throw error;
    } finally {
      this.#temporary.delete(temporary);
    }
  }

  #temporaryOf(path: Buffer): Buffer {
    const directory = path.subarray(0, path.lastIndexOf(0x2f) + 1);
    return this.#full(Buffer.concat([directory, Buffer.from(`.xvault-${this.#token}-${this.#count}.tmp`)]));
  }

  #full(path: Buffer): Buffer {
    return Buffer.concat([this.#root, path]);
  }

  async #unlinkQuietly(path: Buffer): Promise<void> {
    await unlink(path).catch(() => {});
  }

  async finish(): Promise<void> {
    // Deeper ones first: setting a parent's mode may take away the right to reach its children.
    const depth = (entry: FileEntry) => entry.path.reduce((slashes, byte) => slashes + (byte === 0x2f ? 1 : 0), 0);
    const ordered = this.#directories.map((entry) => ({ entry, depth: depth(entry) }));
    ordered.sort((a, b) => b.depth - a.depth);
    for (const { entry } of ordered) {
      throwIfAborted(this.#options.signal);
      try {
        await this.#setDirectory(entry);
      } catch (error) {
        throw targetFailure(error, entry.path);
      }
    }
    this.#directories.length = 0;
  }

  async #setDirectory(entry: FileEntry): Promise<void> {
    const directory = await open(this.#full(entry.path), DIRECTORY);
    try {
      if (this.#owner) await directory.chown(entry.uid, entry.gid);
      await directory.chmod(modeFor(entry, this.#owner));
      await directory.utimes(Date.now() / 1000, timeOf(entry.mtimeNs));
    } finally {
      await directory.close();
    }
  }

  async abort(): Promise<void> {
    for (const temporary of this.#temporary) await this.#unlinkQuietly(temporary);
    this.#temporary.clear();
  }
}
