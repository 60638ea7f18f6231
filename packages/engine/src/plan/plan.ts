import type { IndexEntry, StoredBody } from "@xvault/archive";
import { type Manifest, type PlanArtifact, type PlanHead } from "@xvault/contracts";
import { bodyLength, type ByteReader, type ByteSink, type DataRun, type FileEntry } from "@xvault/kernel";
import { createMarks, type Marks, PATH_MARK, type Stat } from "./marks.ts";
import { MAX_ARTIFACTS, readStored, RECORD, renumber } from "./records.ts";
import { RecordRuns } from "./record-runs.ts";
import { MAX_RECORDS, type PlanState, readState, type SparseMaps, writeState } from "./state-file.ts";

/** An artifact of which less than this is still needed is renewed: its files are pulled as if they had changed. */
const LIVE_SHARE = 0.25;
/** More artifacts than this make restores open too many files: those with the fewest live bytes are renewed. */
const ARTIFACTS_KEPT = 48;

/** A file as the listing shows it. */
export interface ListedFile extends Stat {
  path: Buffer;
}

/** Where an unchanged file lies. */
export interface KnownFile extends StoredBody {
  sparse: DataRun[] | undefined;
}

export interface PlanOptions {
  /** The source's plan key, 32 bytes. */
  key: Uint8Array;
  place: { tenant_id: string; source_id: string; snapshot_id: string };
  /** Fingerprints of the recipients of this run. */
  recipients: readonly string[];
  /** The state to plan from; null: a full run. */
  state: PlanState | null;
  /** Hash of the manifest of the snapshot that the state belongs to. */
  manifestSha256: string | null;
  /** Artifacts that are not on the storage any more, by snapshot id. */
  missing?: ReadonlySet<string>;
  /** Files that changed later than this (by the source's clock) may still be changing; the next run pulls them anew. Nanoseconds. */
  settledBefore: bigint;
}

/** What one run packs, what it leaves where it lies, and what the next run will know. */
export interface Plan {
  /** True when there is something to compare with. */
  readonly incremental: boolean;
  /** Where the bytes of an unchanged file lie; null when it has to be pulled. Changes nothing. */
  known(file: ListedFile): KnownFile | null;
  /** Notes that an unchanged file is part of the snapshot. */
  keep(file: ListedFile, bytes: number): void;
  /** Notes that a file will be pulled. */
  expect(file: ListedFile): void;
  /** Notes where a pulled file went; one that was not expected, or not read as it was, is left to the next run. */
  packed(entry: FileEntry, line: IndexEntry): void;
  /** Notes that something was wrong with a file, before or after it was packed: the next run pulls it anew. */
  distrust(path: Buffer): void;
  /** The earlier snapshots whose artifacts the index points into, for the manifest. */
  references(): Manifest["references"];
  /** Writes the state for the next run. False, and nothing written, when the source has too many files. */
  save(next: ByteSink): Promise<boolean>;
  /** Gives back what the plan holds outside of memory. */
  close(): void;
}

/** Reads a state under a source's plan key. @throws what `readState` throws */
export function loadState(stored: ByteReader, key: Uint8Array): Promise<PlanState> {
  return readState(stored, createMarks(key).fileKey);
}

export function createPlan(options: PlanOptions): Plan {
  return new RunPlan(options);
}

class RunPlan implements Plan {
  readonly #options: PlanOptions;
  readonly #marks: Marks;
  readonly #state: PlanState | null;
  readonly #artifacts: PlanArtifact[];
  /** By number in the old state: false where its files are pulled anew. */
  readonly #usable: boolean[];
  readonly #live: number[];
  readonly #kept: Uint8Array;
  #keptCount = 0;
  #found: { file: ListedFile | null; record: number } = { file: null, record: -1 };
  /** Numbers of the artifacts that kept files lie in, also of files without a byte: what the index names, the manifest names. */
  readonly #used = new Set<number>();
  readonly #records = new RecordRuns();
  readonly #sparse: SparseMaps = new Map();
  #packedBytes = 0;
  #overflow = false;

  constructor(options: PlanOptions) {
    this.#options = options;
    this.#marks = createMarks(options.key);
    this.#state = options.state && isUsable(options.state.head, options) ? options.state : null;
    this.#artifacts = (this.#state?.head.artifacts ?? []).map((artifact) => ({
      ...artifact,
      manifest_sha256: artifact.manifest_sha256 ?? options.manifestSha256,
    }));
    const renewed = toRenew(this.#artifacts);
    this.#usable = this.#artifacts.map(
      (artifact, number) => !renewed.has(number) && options.missing?.has(artifact.snapshot_id) !== true,
    );
    this.#live = this.#artifacts.map(() => 0);
    this.#kept = new Uint8Array(Math.ceil((this.#state?.table.count ?? 0) / 8));
  }

  get incremental(): boolean {
    return this.#state !== null;
  }

  /** Number of the record of a file that is as it was then, or -1. */
  #find(file: ListedFile): number {
    if (!this.#state) return -1;
    // A file that is known is asked about again, to be kept.
    if (this.#found.file === file) return this.#found.record;
    const record = this.#state.table.find(this.#marks.path(file.path));
    const same = record >= 0 && this.#state.table.hasStamp(record, this.#marks.stamp(file));
    this.#found = { file, record: same ? record : -1 };
    return this.#found.record;
  }

  known(file: ListedFile): KnownFile | null {
    const record = this.#find(file);
    if (!this.#state || record < 0) return null;
    const { bytes } = this.#state.table;
    const stored = readStored(bytes, record * RECORD);
    const artifact = this.#artifacts[stored.artifact];
    if (!artifact || this.#usable[stored.artifact] !== true) return null;
    const { sha256, offset, bodyOffset } = stored;
    let sparse: DataRun[] | undefined;
    if (stored.sparse) {
      const runs = this.#state.sparse.get(this.#marks.path(file.path).toString("hex"));
      if (!runs) return null;
      sparse = runs.map(([at, length]) => ({ offset: at, length }));
    }
    return { snapshot: artifact.snapshot_id, sha256, offset, bodyOffset, sparse };
  }

  keep(file: ListedFile, bytes: number): void {
    const record = this.#find(file);
    if (!this.#state || record < 0) return;
    const bit = 1 << (record & 7);
    if (((this.#kept[record >> 3] ?? 0) & bit) === 0) this.#keptCount += 1;
    this.#kept[record >> 3] = (this.#kept[record >> 3] ?? 0) | bit;
    const { artifact } = readStored(this.#state.table.bytes, record * RECORD);
    this.#used.add(artifact);
    this.#live[artifact] = (this.#live[artifact] ?? 0) + bytes;
  }

  expect(file: ListedFile): void {
    const changed = file.ctimeNs !== undefined && file.ctimeNs > file.mtimeNs ? file.ctimeNs : file.mtimeNs;
    if (changed >= this.#options.settledBefore) return;
    if (this.#records.count >= MAX_RECORDS) this.#overflow = true;
    else this.#records.enter(this.#marks.path(file.path), this.#marks.stamp(file));
  }

  packed(entry: FileEntry, line: IndexEntry): void {
    if (entry.type !== "file") return;
    this.#packedBytes += bodyLength(entry);
    if (line.problem !== undefined || line.sha256 === undefined) return;
    const mark = this.#marks.path(entry.path);
    const sparse = line.sparse !== undefined;
    const { sha256, offset, body_offset: bodyOffset } = line;
    const entered = this.#records.fill(mark, { sha256, artifact: 0, sparse, offset, bodyOffset });
    if (entered && line.sparse) this.#sparse.set(mark.toString("hex"), line.sparse);
  }

  distrust(path: Buffer): void {
    this.#records.drop(this.#marks.path(path));
  }

  references(): Manifest["references"] {
    return this.#artifacts.flatMap((artifact, number) =>
      this.#used.has(number)
        ? [
            {
              snapshot_id: artifact.snapshot_id,
              manifest_sha256: artifact.manifest_sha256 ?? "",
              live_bytes: this.#live[number] ?? 0,
            },
          ]
        : [],
    );
  }

  *#keptRecords(): Generator<number> {
    for (let record = 0; record < (this.#state?.table.count ?? 0); record++) {
      if (((this.#kept[record >> 3] ?? 0) & (1 << (record & 7))) !== 0) yield record;
    }
  }

  async save(next: ByteSink): Promise<boolean> {
    if (this.#overflow) return false;
    let packed = 0;
    for (const _ of this.#records.merged()) packed += 1;
    if (packed + this.#keptCount > MAX_RECORDS) return false;
    const numbers = new Map<number, number>();
    const artifacts: PlanArtifact[] = [
      {
        snapshot_id: this.#options.place.snapshot_id,
        manifest_sha256: null,
        packed_bytes: this.#packedBytes,
        live_bytes: this.#packedBytes,
      },
    ];
    for (const [number, artifact] of this.#artifacts.entries()) {
      if (!this.#used.has(number)) continue;
      numbers.set(number, artifacts.length);
      artifacts.push({ ...artifact, live_bytes: this.#live[number] ?? 0 });
    }
    if (artifacts.length > MAX_ARTIFACTS) return false;
    const sparse: SparseMaps = new Map(this.#sparse);
    const head: PlanHead = {
      format: 1,
      kind: "xvault-plan",
      tenant_id: this.#options.place.tenant_id,
      source_id: this.#options.place.source_id,
      snapshot_id: this.#options.place.snapshot_id,
      recipients: [...this.#options.recipients].toSorted(),
      artifacts,
      records: packed + this.#keptCount,
    };
    await writeState(next, this.#marks.fileKey, { head, records: this.#merged(numbers, sparse), sparse });
    return true;
  }

  close(): void {
    this.#records.close();
  }

  /** Kept and new records in one order, in batches. Adds the sparse maps of kept ones to `sparse`. */
  *#merged(numbers: ReadonlyMap<number, number>, sparse: SparseMaps): Generator<Buffer> {
    const old = this.#state?.table.bytes ?? Buffer.alloc(0);
    let batch = Buffer.allocUnsafeSlow(1024 * RECORD);
    let filled = 0;
    const kept = this.#keptRecords();
    const packed = this.#records.merged();
    let nextKept = kept.next();
    let nextPacked = packed.next();
    while (nextKept.done !== true || nextPacked.done !== true) {
      const record = nextPacked.done === true ? null : nextPacked.value;
      const keptAt = nextKept.done === true ? -1 : nextKept.value * RECORD;
      if (keptAt >= 0 && (!record || old.compare(record, 0, PATH_MARK, keptAt, keptAt + PATH_MARK) < 0)) {
        old.copy(batch, filled, keptAt, keptAt + RECORD);
        const stored = readStored(batch, filled);
        renumber(batch, filled, numbers.get(stored.artifact) ?? 0);
        const mark = old.toString("hex", keptAt, keptAt + PATH_MARK);
        const runs = stored.sparse ? this.#state?.sparse.get(mark) : undefined;
        if (runs) sparse.set(mark, runs);
        nextKept = kept.next();
      } else if (record) {
        record.copy(batch, filled);
        nextPacked = packed.next();
      }
      filled += RECORD;
      if (filled === batch.length) {
        yield batch;
        batch = Buffer.allocUnsafeSlow(1024 * RECORD);
        filled = 0;
      }
    }
    if (filled > 0) yield batch.subarray(0, filled);
  }
}

/** A state of another source, or one whose artifacts other recipients open, is of no use: the run is a full one. */
function isUsable(head: PlanHead, { place, recipients }: PlanOptions): boolean {
  return (
    head.tenant_id === place.tenant_id &&
    head.source_id === place.source_id &&
    JSON.stringify(head.recipients) === JSON.stringify([...recipients].toSorted())
  );
}

/** The artifacts that are mostly dead, and the smallest of too many. */
function toRenew(artifacts: readonly PlanArtifact[]): Set<number> {
  const renewed = new Set<number>();
  for (const [number, { live_bytes, packed_bytes }] of artifacts.entries()) {
    if (live_bytes < packed_bytes * LIVE_SHARE) renewed.add(number);
  }
  const left = [...artifacts.keys()].filter((number) => !renewed.has(number));
  left.sort((a, b) => (artifacts[a]?.live_bytes ?? 0) - (artifacts[b]?.live_bytes ?? 0));
  for (const number of left.slice(0, Math.max(0, left.length - ARTIFACTS_KEPT))) renewed.add(number);
  return renewed;
}
