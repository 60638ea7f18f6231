import { PATH_MARK } from "./marks.ts";
import { RecordBook } from "./record-book.ts";
import { RECORD, type StoredFile } from "./records.ts";
import { SpillFile } from "./spill-file.ts";

/** Records that are held in memory before those that are filled make way. 8 MiB of them. */
const HELD = 128 * 1024;
const PAGE_RECORDS = 1024;

/** A sorted run: its pages in the file. */
interface Run {
  pages: number[];
}

/**
 * The records of a run's files, in memory that does not grow with their number: what is filled is sorted and spilled in runs, which are merged in
 * the end. Where there is no room for a file, all stay in memory.
 */
export class RecordRuns {
  readonly #held: number;
  readonly #runs: Run[] = [];
  /** Marks of spilled records that are left out. */
  readonly #dropped = new Set<string>();
  #book = new RecordBook();
  #spilled = 0;
  #file: SpillFile | null = null;
  #spills = true;
  /** At so many it is tried to make room again. */
  #full: number;

  constructor(held: number = HELD) {
    this.#held = held;
    this.#full = held;
  }

  /** Records entered, filled or not. */
  get count(): number {
    return this.#spilled + this.#book.count;
  }

  enter(mark: Buffer, stamp: Buffer): void {
    if (this.#spills && this.#book.count >= this.#full) this.#spill();
    this.#book.enter(mark, stamp);
  }

  /** False for a mark that was not entered, or is left out. */
  fill(mark: Buffer, file: StoredFile): boolean {
    return this.#book.fill(mark, file);
  }

  /** Leaves a file out, whether it was filled already or will be. */
  drop(mark: Buffer): void {
    if (!this.#book.drop(mark) && this.#runs.length > 0) this.#dropped.add(mark.toString("latin1"));
  }

  /** The filled records in the order of their marks, of those with the same mark the latest. Each is good until the next one is asked for. */
  *merged(): Generator<Buffer, void, undefined> {
    const heads = [...this.#runs.map((run) => this.#recordsOf(run)), this.#newest()].map((records) => {
      const { value } = records.next();
      return { records, record: value ?? null };
    });
    for (;;) {
      let least: (typeof heads)[number] | null = null;
      for (const head of heads) {
        if (!head.record) continue;
        const order = least?.record ? head.record.compare(least.record, 0, PATH_MARK, 0, PATH_MARK) : -1;
        // Of equals the later run counts, and the earlier one is passed over.
        if (order === 0 && least) least.record = least.records.next().value ?? null;
        if (order <= 0) least = head;
      }
      if (!least?.record) return;
      const { record } = least;
      if (this.#dropped.size === 0 || !this.#dropped.has(record.toString("latin1", 0, PATH_MARK))) yield record;
      least.record = least.records.next().value ?? null;
    }
  }

  close(): void {
    this.#file?.close();
    this.#file = null;
  }

  /** Moves what is filled to the file. */
  #spill(): void {
    this.#file ??= SpillFile.open();
    const order = this.#book.sorted();
    // Mostly of files that have not come yet: sorting again and again would cost more than it frees.
    this.#full = order.length < this.#book.count / 2 ? this.#full * 2 : this.#held;
    if (this.#file === null || order.length < this.#book.count / 2) {
      this.#spills = this.#file !== null;
      return;
    }
    const pages: number[] = [];
    const page = Buffer.alloc(PAGE_RECORDS * RECORD);
    try {
      for (let from = 0; from < order.length; from += PAGE_RECORDS) {
        const part = order.subarray(from, from + PAGE_RECORDS);
        for (const [at, record] of part.entries()) {
          const { page: bytes, at: start } = this.#book.place(record);
          bytes.copy(page, at * RECORD, start, start + RECORD);
        }
        pages.push(this.#file.write(page.subarray(0, part.length * RECORD)));
      }
    } catch {
      // The disk is full: what was written of this run is of no use, and nothing was taken out of memory yet.
      this.#spills = false;
      return;
    }
    this.#runs.push({ pages });
    this.#spilled += order.length;
    this.#book = this.#book.underWay();
  }

  *#recordsOf({ pages }: Run): Generator<Buffer, undefined, undefined> {
    for (const number of pages) {
      const page = this.#file?.read(number) ?? Buffer.alloc(0);
      for (let at = 0; at < page.length; at += RECORD) yield page.subarray(at, at + RECORD);
    }
    return undefined;
  }

  *#newest(): Generator<Buffer, undefined, undefined> {
    for (const record of this.#book.sorted()) {
      const { page, at } = this.#book.place(record);
      yield page.subarray(at, at + RECORD);
    }
    return undefined;
  }
}
