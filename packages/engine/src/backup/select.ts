import type { ArtifactWriter } from "@xvault/archive";
import { bodyLength, type FileEntry } from "@xvault/kernel";
import type { ListingState, PullPlan, ScanItem, SourceConnection } from "@xvault/source";
import type { KnownFile, Plan } from "../plan/plan.ts";
import type { Reporter } from "../progress.ts";
import type { Canaries } from "./canaries.ts";

/** Files that are in the snapshot without having been pulled. */
export interface Unchanged {
  files: number;
  bytes: number;
}

interface SurveyRun {
  plan: Plan;
  connection: SourceConnection;
  what: PullPlan;
  reporter: Reporter;
  signal: AbortSignal;
}

/**
 * Learns how much has to be pulled, for progress. The pull's own listing tells it, as long as that runs ahead of the pull; where it has to
 * wait for the source, as with very many files, another listing runs beside it.
 */
export class Survey {
  readonly unchanged: Unchanged = { files: 0, bytes: 0 };
  readonly #run: SurveyRun;
  readonly #over = new AbortController();
  #found = 0;
  #wanted = { files: 0, bytes: 0 };
  #pulled = { files: 0, bytes: 0 };
  #aside: Promise<void> | null = null;
  #told = false;

  constructor(run: SurveyRun) {
    this.#run = run;
  }

  /** How the listing of the pull goes. */
  readonly listing = (state: ListingState): void => {
    if (state === "begun") {
      // Begun again after a link dropped: what was dealt with before is not listed anew.
      this.#found = this.unchanged.files + this.#pulled.files;
      this.#wanted = { ...this.#pulled };
    } else if (state === "ended") this.#tell(this.#found, this.#wanted);
    else if (!this.#told) this.#aside ??= this.#listAside();
  };

  /** Notes a file of the listing that is to be pulled. */
  wants(item: ScanItem): void {
    this.#found += 1;
    this.#wanted.files += 1;
    this.#wanted.bytes += item.size;
  }

  /** Notes one that is not. */
  keeps(item: ScanItem): void {
    this.#found += 1;
    this.unchanged.files += 1;
    this.unchanged.bytes += item.size;
  }

  /** Notes what the pull has brought. */
  pulled({ type, size }: FileEntry): void {
    if (type !== "file" && type !== "hardlink") return;
    this.#pulled.files += 1;
    this.#pulled.bytes += size;
  }

  /** Ends the listing beside the pull, if one still runs. */
  async end(): Promise<void> {
    this.#over.abort();
    await this.#aside;
  }

  #tell(found: number, wanted: { files: number; bytes: number }): void {
    if (this.#told) return;
    this.#told = true;
    const { plan, reporter } = this.#run;
    reporter.expect(wanted);
    const part = plan.incremental ? `, ${wanted.files} of them new or changed` : "";
    reporter.info(`${found} files found${part}.`);
  }

  async #listAside(): Promise<void> {
    const { plan, connection, what } = this.#run;
    const signal = AbortSignal.any([this.#run.signal, this.#over.signal]);
    try {
      if (!plan.incremental) {
        const totals = await connection.measure(what, undefined, { signal });
        return this.#tell(totals.files, totals);
      }
      const changed = { files: 0, bytes: 0 };
      let files = 0;
      for await (const item of connection.scan(what, { signal })) {
        if (item.type !== "file") continue;
        files += 1;
        if (isComparable(item) && plan.known(item)) continue;
        changed.files += 1;
        changed.bytes += item.size;
      }
      this.#tell(files, changed);
    } catch {
      // What is wrong with the source is told by the pull; a backup needs no totals.
    }
  }
}

/**
 * Lets a pull take what is new or changed, and enters the rest in the index at once. Directories and symbolic links are taken always: they
 * cost a header, and each artifact unpacks to a tree by itself.
 */
export function selectChanged(
  plan: Plan,
  archive: Pick<ArtifactWriter, "refer">,
  survey: Survey,
  canaries: Canaries,
): (item: ScanItem) => boolean | Promise<boolean> {
  return (item) => {
    if (item.type !== "file") return true;
    const comparable = isComparable(item);
    const known = comparable ? plan.known(item) : null;
    if (!known) {
      if (comparable) plan.expect(item);
      survey.wants(item);
      return true;
    }
    const entry = entryOf(item, known);
    plan.keep(item, bodyLength(entry));
    survey.keeps(item);
    canaries.note(item.path, known.sha256);
    return archive.refer(entry, known).then(() => false);
  };
}

/** A file with several names is packed with all of them, in one artifact, or stock tar could not link them. */
function isComparable(item: ScanItem): boolean {
  return item.nlink === undefined || item.nlink === 1;
}

function entryOf(item: ScanItem, known: KnownFile): FileEntry {
  const entry: FileEntry = {
    path: item.path,
    type: "file",
    size: item.size,
    mode: item.mode,
    uid: item.uid,
    gid: item.gid,
    mtimeNs: item.mtimeNs,
  };
  if (item.uname !== undefined) entry.uname = item.uname;
  if (item.gname !== undefined) entry.gname = item.gname;
  if (known.sparse) entry.sparse = known.sparse;
  return entry;
}
