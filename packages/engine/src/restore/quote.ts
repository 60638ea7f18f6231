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
  const frames = new Map<string | undefined, Set<number>>();
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
      let touched = frames.get(source.snapshot);
      if (!touched) frames.set(source.snapshot, (touched = new Set()));
      const last = Math.max(source.offset, source.body_offset + source.body_bytes - 1);
      for (let frame = frameOf(source.offset); frame <= frameOf(last); frame += 1) touched.add(frame);
    }
  }
  missing.complain();
  let readBytes = checked.manifest.index.size_bytes;
  for (const [snapshot, touched] of frames) {
    const { manifest } = snapshot === undefined ? checked : await checked.earlier(snapshot);
    readBytes += storedBytes(manifest, touched.size);
  }
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

function frameOf(offset: number): number {
  return Math.floor(offset / DEFAULT_FRAME_BYTES);
}

/** About how much so many frames of an artifact take on storage. */
function storedBytes({ artifact }: Manifest, frames: number): number {
  const all = Math.max(1, Math.ceil(artifact.tar_bytes / DEFAULT_FRAME_BYTES));
  return Math.round(artifact.size_bytes * Math.min(1, frames / all));
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
