import { createHash } from "node:crypto";
import {
  bodyLength,
  isXVaultError,
  type TargetRoom,
  XVaultError,
  type FileEntry,
  type TreeTarget,
} from "@xvault/kernel";
import { pathError } from "../browse.ts";
import type { TargetOptions } from "../types.ts";
import type { WrittenCheck } from "../written-check.ts";
import { Directories, type Directory } from "./directories.ts";
import { RestoreJournal } from "./journal.ts";
import { type Attrs, kindOf } from "./packets.ts";
import { openDryTarget } from "./dry-target.ts";
import { checkedParts, freeBytesAt, isSameLink, looksSame, replaces, secondsOf } from "./policies.ts";
import { RemoteFiles } from "./remote-files.ts";
import { type SftpSession, isMissing } from "./session.ts";

const MIB = 1024 * 1024;

/** What is written at the same time: so many things, so many bytes of bodies; a body up to `small` is taken into memory for that. */
interface Reach {
  jobs: number;
  bytes: number;
  small: number;
}
const NEAR: Reach = { jobs: 64, bytes: 8 * MIB, small: MIB / 2 };
/** Over a long way each step of each file costs a round trip, so that many have to be under way. */
const FAR: Reach = { jobs: 512, bytes: 32 * MIB, small: 4 * MIB };

/**
 * Opens (and makes, where missing) a directory on the source as a place to restore to. Errors as in {@link TreeTarget}. `check` reads back
 * what was written.
 */
export async function openTarget(
  session: SftpSession,
  root: Buffer,
  options: TargetOptions,
  check: WrittenCheck | null = null,
): Promise<TreeTarget> {
  try {
    if (options.dryRun) return await openDryTarget(session, root, options);
    const made = await makeRoot(session, root);
    // The root itself may lie behind links: that is the person's choice, and settled here once.
    const real = await session.realpath(root);
    const journal = options.resume === undefined ? null : await RestoreJournal.open(session, real, options.resume);
    if (made) await journal?.noteMade("");
    return new SftpTarget(session, real, options, { check, journal, fresh: made });
  } catch (error) {
    throw pathError(error, root.toString());
  }
}

/** True when it was not there. */
async function makeRoot(session: SftpSession, root: Buffer): Promise<boolean> {
  try {
    if (kindOf(await session.stat(root)) === "dir") return false;
  } catch (error) {
    if (!isMissing(error)) throw error;
    const parent = root.subarray(0, Math.max(1, root.lastIndexOf(0x2f)));
    if (parent.length < root.length) await makeRoot(session, parent);
    await session.mkdir(root, 0o755);
    return true;
  }
  throw new XVaultError("ENTRY_CONFLICT", "The target is not a directory.");
}

interface Extras {
  check: WrittenCheck | null;
  journal: RestoreJournal | null;
  fresh: boolean;
}

/**
 * Restores over SFTP. SFTP has no way to hold a directory open, so between looking at a parent and writing into it another user of the
 * host who may write there could put a link in its place; every parent is looked at when it is first used.
 */
class SftpTarget implements TreeTarget {
  readonly #session: SftpSession;
  readonly #options: TargetOptions;
  readonly #files: RemoteFiles;
  readonly #directories: Directories;
  readonly #journal: RestoreJournal | null;
  readonly #check: WrittenCheck | null;
  readonly #reach: Reach;
  /** What is being written: an entry that needs one of these waits for it. Keys are latin1 paths below the root. */
  readonly #underWay = new Map<string, { job: Promise<void>; number: number; bytes: number }>();
  #bytes = 0;
  #replaced = 0;
  #freed: (() => void) | null = null;
  /** Entries that came so far. */
  #count = 0;
  #failure: unknown = null;

  constructor(session: SftpSession, root: Buffer, options: TargetOptions, { check, journal, fresh }: Extras) {
    this.#session = session;
    this.#options = options;
    this.#check = check;
    this.#journal = journal;
    this.#reach = session.roundTripMs >= 10 ? FAR : NEAR;
    const token = options.resume === undefined ? null : tokenOf(options.resume);
    this.#files = new RemoteFiles(session, options, token);
    const isOurs = (path: Buffer) => token !== null && path.includes(`/.xvault-${token}-`);
    const onLeftover = (path: Buffer) => {
      if (isOurs(path)) session.remove(path).catch(() => {});
    };
    this.#directories = new Directories(session, root, { onLeftover });
    this.#directories.begin(journal, fresh);
  }

  async put(entry: FileEntry, body: AsyncIterable<Buffer> | null, sha256?: string): Promise<"written" | "skipped"> {
    try {
      this.#throwIfFailed();
      const outcome = await this.#put(entry, body, sha256);
      this.#count += 1;
      this.#mark();
      return outcome;
    } catch (error) {
      throw pathError(error, `/${entry.path.toString()}`);
    }
  }

  async room(): Promise<TargetRoom> {
    const freeBytes = await freeBytesAt(this.#session, this.#directories.absolute(""));
    return { exists: !this.#directories.root.fresh, freeBytes, replacedBytes: this.#replaced };
  }

  async finish(): Promise<void> {
    await this.#settle();
    this.#throwIfFailed();
    await this.#check?.finish();
    // Children first: setting the times of a child changes nothing in its parent, but writing into it did.
    const known = this.#directories.withEntries();
    const { jobs } = this.#reach;
    for (let from = 0; from < known.length; from += jobs) {
      this.#throwIfFailed();
      await Promise.all(
        known
          .slice(from, from + jobs)
          .map(([key, entry]) => this.#files.setDirectory(this.#directories.absolute(key), entry)),
      );
    }
    await this.#journal?.remove();
  }

  async abort(error?: unknown): Promise<void> {
    this.#failure ??= new XVaultError("CANCELLED");
    await this.#settle();
    this.#check?.abort();
    await this.#files.removeTemporary();
    // What is tried again goes on from here, and what was leased anew does so already.
    const isOver = isXVaultError(error) && !error.retry && error.code !== "LEASE_LOST";
    if (isOver) await this.#journal?.remove();
  }

  async #put(
    entry: FileEntry,
    body: AsyncIterable<Buffer> | null,
    sha256: string | undefined,
  ): Promise<"written" | "skipped"> {
    const parts = checkedParts(entry.path, "ENTRY_PATH_UNSAFE");
    const key = parts.join("/");
    await this.#underWay.get(key)?.job;
    const parent = await this.#directories.parent(parts);
    if (entry.type === "dir") return this.#putDirectory(entry, key, parent);
    const existing = await this.#directories.lookUp(key, parent);
    if (existing && (await this.#isDone(entry, key, parent, existing))) {
      if (sha256 !== undefined) await this.#check?.add(this.#directories.absolute(key), sha256, entry.size);
      return "written";
    }
    if (existing && !replaces(entry, existing, this.#options.overwrite)) return "skipped";
    if (existing && (await this.#isSameLink(entry, key, existing))) return "skipped";
    this.#replaced += existing?.size ?? 0;
    const place = this.#directories.absolute(key);
    const replace = existing !== null || parent.fresh;
    switch (entry.type) {
      case "file":
        return this.#putFile({ entry, body, sha256, key, place, replace, parent });
      case "symlink": {
        const { linkTarget } = entry;
        if (!linkTarget || linkTarget.length === 0 || linkTarget.includes(0))
          throw new XVaultError("ARCHIVE_MALFORMED");
        await this.#background(key, parent, 0, () => this.#files.symlink(place, linkTarget, entry, replace));
        this.#directories.noteLink(key, this.#underWay.get(key)?.job ?? Promise.resolve());
        return "written";
      }
      case "hardlink":
        await this.#putHardLink(entry, place, key, parent, replace);
        return "written";
      default:
        throw new XVaultError("ENTRY_TYPE_DENIED", undefined, { data: { path: entry.path.toString() } });
    }
  }

  /** Whether an attempt before this one has restored the entry already. What it wrote stands there whole, or not at all. */
  async #isDone(entry: FileEntry, key: string, parent: Directory, existing: Attrs): Promise<boolean> {
    if (!this.#journal || !(parent.ours || this.#count < this.#journal.done)) return false;
    if (entry.type === "symlink") return this.#isSameLink(entry, key, existing, true);
    if (entry.type === "file") return looksSame(entry, existing);
    return kindOf(existing) === "file" && existing.mtime === secondsOf(entry);
  }

  /** Only under 'if-changed': a link that leads to the same place already. */
  async #isSameLink(entry: FileEntry, key: string, existing: Attrs, always = false): Promise<boolean> {
    if (!always && this.#options.overwrite !== "if-changed") return false;
    return isSameLink(this.#session, this.#directories.absolute(key), entry, existing);
  }

  async #putFile(file: {
    entry: FileEntry;
    body: AsyncIterable<Buffer> | null;
    sha256: string | undefined;
    key: string;
    place: Buffer;
    replace: boolean;
    parent: Directory;
  }): Promise<"written"> {
    const { entry, body, sha256, key, place, replace, parent } = file;
    const write = async (content: AsyncIterable<Buffer> | null) => {
      await this.#files.write(place, entry, content, replace);
      if (sha256 !== undefined) await this.#check?.add(place, sha256, entry.size);
    };
    if (bodyLength(entry) > this.#reach.small) {
      await parent.ready;
      await write(body);
      return "written";
    }
    const pieces: Buffer[] = [];
    if (body) for await (const piece of body) pieces.push(Buffer.from(piece));
    const content = Buffer.concat(pieces);
    await this.#background(key, parent, content.length, () => write(once(content)));
    return "written";
  }

  async #putHardLink(entry: FileEntry, place: Buffer, key: string, parent: Directory, replace: boolean): Promise<void> {
    const target = checkedParts(entry.linkTarget ?? Buffer.alloc(0), "LINK_OUTSIDE_ROOT");
    const targetKey = target.join("/");
    await this.#underWay.get(targetKey)?.job;
    await (
      await this.#directories.parent(target)
    ).ready;
    const holder = await this.#directories.lstat(targetKey);
    if (!holder || kindOf(holder) !== "file") {
      throw new XVaultError("LINK_OUTSIDE_ROOT", "A hard link points to what is no file below the target.", {
        data: { path: entry.path.toString() },
      });
    }
    if (targetKey === key) return;
    const path = this.#directories.absolute(targetKey);
    await this.#background(key, parent, 0, () => this.#files.hardLink(place, path, entry, holder, replace));
  }

  async #putDirectory(entry: FileEntry, key: string, parent: Directory): Promise<"written" | "skipped"> {
    const known = this.#directories.find(key) ?? (await this.#directories.enter(key, parent));
    const overwrite = this.#options.overwrite ?? "never";
    if (!known.ours && overwrite === "never") return "skipped";
    known.entry = entry;
    return "written";
  }

  /** Lets work go on while the next entries come; waits when a lot of it is under way. */
  async #background(key: string, parent: Directory, bytes: number, work: () => Promise<void>): Promise<void> {
    const { jobs, bytes: room } = this.#reach;
    while (this.#underWay.size >= jobs || (this.#bytes > 0 && this.#bytes + bytes > room)) {
      await new Promise<void>((resolve) => (this.#freed = resolve));
    }
    this.#throwIfFailed();
    this.#bytes += bytes;
    const job = parent.ready
      .then(work)
      .catch((error: unknown) => {
        this.#failure ??= pathError(error, `/${Buffer.from(key, "latin1").toString()}`);
      })
      .finally(() => {
        this.#underWay.delete(key);
        this.#bytes -= bytes;
        this.#freed?.();
        this.#freed = null;
        this.#mark();
      });
    this.#underWay.set(key, { job, number: this.#count, bytes });
  }

  /** Tells the journal how many entries are done: all before the oldest that is still under way. */
  #mark(): void {
    if (!this.#journal || this.#failure) return;
    // A map keeps the order in which things were put in.
    const [oldest] = this.#underWay.values();
    this.#journal.mark(oldest?.number ?? this.#count);
  }

  async #settle(): Promise<void> {
    await Promise.all([...this.#underWay.values()].map(({ job }) => job));
  }

  #throwIfFailed(): void {
    if (this.#options.signal?.aborted) throw new XVaultError("CANCELLED");
    if (this.#failure) throw this.#failure;
  }
}

/** Marks the temporary files of one restore, in all its attempts. */
function tokenOf(resume: string): string {
  return createHash("sha256").update(resume).digest("hex").slice(0, 12);
}

async function* once(content: Buffer): AsyncGenerator<Buffer, void, undefined> {
  if (content.length > 0) yield content;
}
