import { type ArtifactReader, DEFAULT_FRAME_BYTES, selectEntries } from "@xvault/archive";
import { pathFromApi, type Manifest, type RestoreQuote } from "@xvault/contracts";
import { bodyLength, type TreeTarget, XVaultError } from "@xvault/kernel";
import type { Reporter } from "../progress.ts";
import type { CheckedSnapshot } from "../snapshot.ts";

export interface QuoteRun {
  checked: Pick<CheckedSnapshot, "manifest" | "earlier">;
  artifact: ArtifactReader;
  /** As the API carries them; empty: everything. */
  paths: string[];
  /** One that writes nothing and tells what would become of each entry. */
  target: TreeTarget;
  reporter: Reporter;
  signal: AbortSignal;
}

/**
 * Finds out what a restore would do, by the same choice of entries and the same policy, without a byte being written or a file's content
 * being read. `seconds` is left to whoever knows how fast restores to this target are.
 *
 * @throws NOT_FOUND when a path names nothing in the snapshot; ENTRY_CONFLICT and what else the restore itself would refuse.
 */
export async function quoteRestore(run: QuoteRun): Promise<RestoreQuote> {
  const { checked, artifact, target, reporter, signal } = run;
  const wanted = run.paths.map(pathFromApi).filter((path) => path.length > 0);
  const quote = { files: 0, directories: 0, links: 0, write_bytes: 0, skipped: 0 };
  const artifacts = new Map<string | undefined, TouchedFrames>();
  const missing = new MissingPaths(wanted);
  for await (const { entry, source } of selectEntries(() => artifact.entries(), wanted)) {
    signal.throwIfAborted();
    missing.see(entry.path);
    reporter.advance({ files: entry.type === "file" ? 1 : 0, path: `/${entry.path.toString("utf8")}` });
    if ((await target.put(entry, null)) === "skipped") {
      quote.skipped += 1;
      continue;
    }
    if (entry.type === "dir") quote.directories += 1;
    else if (entry.type !== "file") quote.links += 1;
    else {
      quote.files += 1;
      quote.write_bytes += bodyLength(entry);
      let touched = artifacts.get(source.snapshot);
      if (!touched) {
        const { manifest } = source.snapshot === undefined ? checked : await checked.earlier(source.snapshot);
        artifacts.set(source.snapshot, (touched = new TouchedFrames(manifest)));
      }
      touched.add(source.offset, source.body_offset + source.body_bytes);
    }
  }
  missing.complain();
  let readBytes = checked.manifest.index.size_bytes;
  for (const touched of artifacts.values()) readBytes += touched.storedBytes();
  const room = await target.room?.();
  const free = room?.freeBytes ?? null;
  return {
    ...quote,
    read_bytes: readBytes,
    target_exists: room?.exists ?? false,
    free_bytes: free,
    enough_space: free === null ? null : quote.write_bytes - (room?.replacedBytes ?? 0) <= free,
    seconds: null,
  };
}

/** Which frames of an artifact hold what was chosen: one bit each, however large an index says that files are. */
class TouchedFrames {
  readonly #artifact: Manifest["artifact"];
  readonly #count: number;
  readonly #bits: Uint8Array;
  #touched = 0;

  constructor({ artifact }: Manifest) {
    this.#artifact = artifact;
    this.#count = Math.max(1, Math.ceil(artifact.tar_bytes / DEFAULT_FRAME_BYTES));
    this.#bits = new Uint8Array(Math.ceil(this.#count / 8));
  }

  /** A range of the tar. */
  add(start: number, end: number): void {
    const last = Math.min(this.#count - 1, Math.floor((end - 1) / DEFAULT_FRAME_BYTES));
    for (let frame = Math.floor(start / DEFAULT_FRAME_BYTES); frame <= last; frame += 1) {
      const bit = 1 << (frame & 7);
      const byte = this.#bits[frame >> 3] ?? 0;
      if ((byte & bit) !== 0) continue;
      this.#bits[frame >> 3] = byte | bit;
      this.#touched += 1;
    }
  }

  /** About how much they take on storage. */
  storedBytes(): number {
    return Math.round((this.#artifact.size_bytes * this.#touched) / this.#count);
  }
}

/** The paths that were asked for and have not turned up. */
export class MissingPaths {
  readonly #missing: Set<string>;

  constructor(wanted: readonly Buffer[]) {
    this.#missing = new Set(wanted.map((path) => path.toString("latin1")));
  }

  see(found: Buffer): void {
    if (this.#missing.size === 0) return;
    const path = found.toString("latin1");
    for (const one of this.#missing) if (path === one || path.startsWith(`${one}/`)) this.#missing.delete(one);
  }

  /** @throws NOT_FOUND */
  complain(): void {
    const [first] = this.#missing;
    if (first === undefined) return;
    const path = Buffer.from(first, "latin1").toString("utf8");
    throw new XVaultError("NOT_FOUND", `The snapshot has nothing at /${path}.`, {
      fix: "List the snapshot to see what it holds.",
    });
  }
}
