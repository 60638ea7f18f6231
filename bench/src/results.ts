import { cpus, loadavg, release, totalmem } from "node:os";
import type { Program } from "./programs.ts";

/** One run. Seconds; megabytes of 1,000,000 bytes; null where the system did not tell. */
export interface Row {
  set: string;
  rtt_ms: number;
  run: "first" | "second";
  subject: string;
  repeat: number;
  wall_s: number;
  cpu_s: number | null;
  peak_rss_mb: number | null;
  /** What the run added to the store. */
  output_mb: number;
}

/** One measurement that is no backup: a restore, one file out of an artifact, the memory that many files take. */
export interface Extra {
  what: "one file" | "restore" | "memory";
  set: string;
  subject: string;
  repeat: number;
  wall_s: number;
  cpu_s: number | null;
  peak_rss_mb: number | null;
  /** All that the worker read for it, from sockets too. */
  read_mb?: number | null;
}

export interface Results {
  /** ISO 8601. */
  at: string;
  seed: string;
  scale: number;
  repeats: number;
  machine: { cpu: string; cores: number; memory_mb: number; kernel: string; node: string; load_before: number };
  programs: Record<Program, string | null>;
  sets: { name: string; title: string; files: number; mb: number }[];
  /** Titles of the subjects, in the order in which tables and charts show them. */
  subjects: Record<string, string>;
  rows: Row[];
  extras: Extra[];
  failures: string[];
}

export function describeMachine(): Results["machine"] {
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: cpus().length,
    memory_mb: Math.round(totalmem() / 1_000_000),
    kernel: release(),
    node: process.version,
    load_before: Math.round((loadavg()[0] ?? 0) * 100) / 100,
  };
}

/** The value in the middle; of an even number of values the mean of the two in the middle. Null of none. */
export function median(values: readonly number[]): number | null {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  const low = sorted[Math.ceil(middle) - 1];
  const high = sorted[Math.floor(middle)];
  return low === undefined || high === undefined ? null : (low + high) / 2;
}

type Figure = "wall_s" | "cpu_s" | "peak_rss_mb" | "output_mb";
export type Medians = Pick<Row, "set" | "rtt_ms" | "run" | "subject"> & Record<Figure, number | null>;

/** The medians of what was repeated, in the order in which each first came up. */
export function mediansOf(rows: readonly Row[]): Medians[] {
  const groups = Map.groupBy(rows, (row) => `${row.set} ${row.rtt_ms} ${row.run} ${row.subject}`);
  return [...groups.values()].map((group) => {
    const of = (figure: Figure) => median(group.map((row) => row[figure]).filter((value) => value !== null));
    const { set, rtt_ms, run, subject } = group[0] as Row;
    return {
      set,
      rtt_ms,
      run,
      subject,
      wall_s: of("wall_s"),
      cpu_s: of("cpu_s"),
      peak_rss_mb: of("peak_rss_mb"),
      output_mb: of("output_mb"),
    };
  });
}
