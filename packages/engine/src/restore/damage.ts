import type { ArtifactReader, Selected } from "@xvault/archive";
import { type ErrorCode, isXVaultError, type TreeTarget, XVaultError } from "@xvault/kernel";

/**
 * Asked when stored bytes turn out to be damaged or missing. True: what needs them is left out, and the rest is restored. False: the
 * failure ends the restore.
 *
 * `path` is the entry whose bytes they are, of which nothing was made visible; null for the whole artifact of an earlier snapshot, before
 * anything is written: its entries are asked about one by one as they come.
 */
export type OnDamage = (failure: XVaultError, path: Buffer | null) => boolean;

/** What is said of bytes that are not there, not those that were written, or not those that are meant. */
const DAMAGE: ErrorCode[] = [
  "ARTIFACT_CORRUPT",
  "ARTIFACT_MISSING",
  "ARCHIVE_MALFORMED",
  "ARCHIVE_TRUNCATED",
  "TRAILING_DATA",
  "WINDOW_TOO_LARGE",
  "EXPANSION_LIMIT",
  "SIGNATURE_INVALID",
  "MANIFEST_TENANT_MISMATCH",
];
/** What a system says of a sector that cannot be read any more, and of a file system that is damaged itself. */
const UNREADABLE = ["EIO", "EUCLEAN"];

/** A storage that only does not answer is not damaged: whoever asks it again later loses nothing. */
function isDamage(error: unknown): error is XVaultError {
  if (isXVaultError(error, ...DAMAGE)) return true;
  return isXVaultError(error, "STORAGE_FAILED") && UNREADABLE.includes(String(error.data?.["system"]));
}

/** Puts entries of an artifact into a target, and knows a failure of their stored bytes from one of the target. */
export class EntryBytes {
  readonly #artifact: ArtifactReader;
  readonly #onDamage: OnDamage | undefined;
  /** Earlier snapshots whose artifacts cannot be used, and why. */
  readonly #lost = new Map<string, XVaultError>();
  /** Files of this artifact that were left out: a hard link leads to one of the same artifact. Paths in latin1. */
  readonly #leftOut = new Set<string>();

  constructor(artifact: ArtifactReader, onDamage: OnDamage | undefined) {
    this.#artifact = artifact;
    this.#onDamage = onDamage;
  }

  /** Opens and checks the artifacts of earlier snapshots. @throws what is wrong with one, unless it is to be done without */
  async prepare(snapshots: Iterable<string>): Promise<void> {
    for (const snapshot of snapshots) {
      try {
        await this.#artifact.prepare([snapshot]);
      } catch (error) {
        if (!isDamage(error) || !this.#onDamage?.(error, null)) throw error;
        this.#lost.set(snapshot, error);
      }
    }
  }

  /** @throws what the target throws; what is wrong with the entry's bytes, unless it is to be left out */
  async put(target: TreeTarget, { entry, source }: Selected): Promise<"written" | "skipped" | "left out"> {
    const content = entry.type === "hardlink" ? entry.linkTarget : undefined;
    if (content && this.#leftOut.has(content.toString("latin1"))) {
      // What stands at that place, if anything does, is not the content that the snapshot has there.
      const failure = new XVaultError(
        "ARTIFACT_CORRUPT",
        `It is a link to '/${content.toString()}', which is damaged.`,
      );
      if (!this.#onDamage?.(failure, entry.path)) throw failure;
      return "left out";
    }
    if (entry.type !== "file") return target.put(entry, null, source.sha256);
    let failure: unknown;
    const body = this.#bodyOf(source, (error) => (failure = error));
    try {
      return await target.put(entry, body, source.sha256);
    } catch (error) {
      if (!isDamage(failure) || !this.#onDamage?.(failure, entry.path)) throw error;
      if (source.snapshot === undefined) this.#leftOut.add(entry.path.toString("latin1"));
      return "left out";
    }
  }

  async *#bodyOf(
    source: Selected["source"],
    failed: (error: unknown) => void,
  ): AsyncGenerator<Buffer, void, undefined> {
    try {
      const lost = source.snapshot === undefined ? undefined : this.#lost.get(source.snapshot);
      // Only here: a file that the target keeps as it is needs no bytes.
      if (lost) throw lost;
      yield* this.#artifact.body(source);
    } catch (error) {
      failed(error);
      throw error;
    }
  }
}
