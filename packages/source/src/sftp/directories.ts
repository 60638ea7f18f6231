import { XVaultError, type FileEntry } from "@xvault/kernel";
import type { RestoreJournal } from "./journal.ts";
import { type Attrs, kindOf } from "./packets.ts";
import { SftpError, type SftpSession, isMissing } from "./session.ts";

/** So many names are remembered of directories that were there before; in one with more, each name is asked for by itself. */
const REMEMBERED = 100_000;

const LEFTOVER = Buffer.from(".xvault-");

/** A directory of the target that was looked at or made. */
export interface Directory {
  /** Made in this run, so nothing of before lies in it. */
  fresh: boolean;
  /** Made by this restore, in this attempt or an earlier one: whatever lies in it is its own work. */
  ours: boolean;
  /** From its entry: to be set at the end. */
  entry: FileEntry | null;
  /** Resolves once it stands; whoever writes below it waits for it. Never rejects unobserved. */
  ready: Promise<void>;
  /** What lay in it; undefined when nobody has asked yet, null when it cannot be told at once. */
  names?: Map<string, Attrs> | null | undefined;
}

/**
 * The directories of a target. Each is looked at once, made where it is missing, and never entered through a link. Keys are paths below the
 * root in latin1, '' for the root.
 */
export class Directories {
  readonly #session: SftpSession;
  readonly #root: Buffer;
  readonly #known = new Map<string, Directory>();
  readonly #onLeftover: ((path: Buffer) => void) | undefined;
  readonly #dry: boolean;
  /** Symbolic links that this run makes, each with the promise of its being made. */
  readonly #links = new Map<string, Promise<void>>();
  readonly #listed: Directory[] = [];
  #journal: RestoreJournal | null = null;
  #remembered = 0;

  /** `onLeftover` is told of each file that a restore which broke off may have left. With `dry`, nothing is made. */
  constructor(
    session: SftpSession,
    root: Buffer,
    { onLeftover, dry = false }: { onLeftover?: (path: Buffer) => void; dry?: boolean } = {},
  ) {
    this.#session = session;
    this.#root = root;
    this.#onLeftover = onLeftover;
    this.#dry = dry;
    this.#known.set("", { fresh: false, ours: false, entry: null, ready: Promise.resolve() });
  }

  /** `fresh`: the root was made in this run. */
  begin(journal: RestoreJournal | null, fresh: boolean): void {
    this.#journal = journal;
    const ours = fresh || (journal?.hasMade("") ?? false);
    this.#known.set("", { fresh, ours, entry: null, ready: Promise.resolve() });
  }

  get root(): Directory {
    return this.#known.get("") as Directory;
  }

  /** The directories whose entries came, children before parents. */
  withEntries(): [key: string, entry: FileEntry][] {
    const found: [string, FileEntry][] = [];
    for (const [key, { entry }] of this.#known) if (entry) found.push([key, entry]);
    return found.sort(([a], [b]) => (a < b ? 1 : -1));
  }

  /** A directory that was looked at before. */
  find(key: string): Directory | undefined {
    return this.#known.get(key);
  }

  /** Tells of a symbolic link that is being made: nothing is ever written below it. */
  noteLink(key: string, made: Promise<void>): void {
    this.#links.set(key, made);
  }

  /** The directory that holds what these parts name. */
  async parent(parts: readonly string[]): Promise<Directory> {
    let known = this.#known.get(parts.slice(0, -1).join("/"));
    if (known) return known;
    known = this.root;
    for (let depth = 1; depth < parts.length; depth++) {
      const key = parts.slice(0, depth).join("/");
      known = this.#known.get(key) ?? (await this.enter(key, known));
    }
    return known;
  }

  /**
   * Makes or finds a directory in one that is known. In one that this run made nothing can be in the way but a link of its own: the new one
   * is made without waiting for the answer.
   *
   * @throws ENTRY_THROUGH_SYMLINK, ENTRY_CONFLICT
   */
  async enter(key: string, parent: Directory): Promise<Directory> {
    const link = this.#links.get(key);
    if (parent.fresh && !link) return this.#make(key, parent);
    await parent.ready;
    await link;
    const existing = link ? await this.lstat(key) : await this.lookUp(key, parent);
    if (existing) {
      this.#refuse(existing, key);
      const ours = parent.ours || (this.#journal?.hasMade(key) ?? false);
      return this.#keep(key, { fresh: false, ours, entry: null, ready: Promise.resolve() });
    }
    await this.#journal?.noteMade(key);
    const made = this.#make(key, parent);
    await made.ready;
    return made;
  }

  /** What stands at a name of a directory; null when nothing does. Links are not followed. */
  async lookUp(key: string, parent: Directory): Promise<Attrs | null> {
    if (parent.fresh) return null;
    const slash = key.lastIndexOf("/");
    if (parent.names === undefined) {
      parent.names = await this.#list(key.slice(0, Math.max(0, slash)));
      this.#remember(parent);
    }
    return parent.names ? (parent.names.get(key.slice(slash + 1)) ?? null) : this.lstat(key);
  }

  async lstat(key: string): Promise<Attrs | null> {
    try {
      return await this.#session.lstat(this.absolute(key));
    } catch (error) {
      if (isMissing(error)) return null;
      throw error;
    }
  }

  absolute(key: string): Buffer {
    const base = this.#root.length === 1 ? Buffer.alloc(0) : this.#root;
    return key === "" ? this.#root : Buffer.concat([base, Buffer.from("/"), Buffer.from(key, "latin1")]);
  }

  #make(key: string, parent: Directory): Directory {
    const ready = (async () => {
      await parent.ready;
      if (this.#dry) return;
      try {
        await this.#session.mkdir(this.absolute(key), 0o700);
      } catch (error) {
        const existing = await this.lstat(key);
        if (!existing) throw error;
        this.#refuse(existing, key);
      }
    })();
    ready.catch(() => {}); // whoever writes below it is told
    return this.#keep(key, { fresh: true, ours: true, entry: null, ready });
  }

  #keep(key: string, directory: Directory): Directory {
    this.#known.set(key, directory);
    return directory;
  }

  #refuse(existing: Attrs, key: string): void {
    const data = { path: this.absolute(key).toString() };
    if (kindOf(existing) === "symlink") throw new XVaultError("ENTRY_THROUGH_SYMLINK", undefined, { data });
    if (kindOf(existing) !== "dir") {
      throw new XVaultError("ENTRY_CONFLICT", "A file stands where a directory should be.", { data });
    }
  }

  /** The listings that were asked for first are the first that are forgotten; they can be asked for again. */
  #remember(directory: Directory): void {
    this.#listed.push(directory);
    this.#remembered += directory.names?.size ?? 0;
    while (this.#remembered > REMEMBERED) {
      const oldest = this.#listed.shift();
      if (!oldest || oldest === directory) return;
      this.#remembered -= oldest.names?.size ?? 0;
      oldest.names = undefined;
    }
  }

  /** All names of a directory at once: one by one, each would cost a round trip. Null where there are too many, or it may not be read. */
  async #list(key: string): Promise<Map<string, Attrs> | null> {
    const names = new Map<string, Attrs>();
    let handle: Buffer | null = null;
    try {
      handle = await this.#session.opendir(this.absolute(key));
      for (let some = await this.#session.readdir(handle); some; some = await this.#session.readdir(handle)) {
        for (const { name, attrs } of some) {
          if (attrs.mode === undefined || attrs.size === undefined || attrs.mtime === undefined) return null;
          names.set(name.toString("latin1"), attrs);
          if (this.#onLeftover && name.subarray(0, 8).equals(LEFTOVER)) {
            this.#onLeftover(this.absolute(key === "" ? name.toString("latin1") : `${key}/${name.toString("latin1")}`));
          }
        }
        if (names.size > REMEMBERED) return null;
      }
      return names;
    } catch (error) {
      if (!(error instanceof SftpError)) throw error;
      return null;
    } finally {
      if (handle) await this.#session.closeHandle(handle).catch(() => {});
    }
  }
}
