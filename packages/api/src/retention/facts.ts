import { type Manifest } from "@xvault/contracts";
import type { SnapshotRow } from "@xvault/db";
import { z } from "zod";
import type { SnapshotFacts } from "./poison.ts";

/** What publication and people write into `snapshots.stats`, as far as expiry looks at it. */
const statsSchema = z.object({
  unchanged_files: z.number().optional(),
  canaries: z.record(z.string(), z.string().nullable()).nullish(),
  /** When somebody said that the snapshot is right as it is. */
  accepted_at: z.string().optional(),
});

/** How a backup's job ended: it knows what had not changed, too. */
const resultSchema = z.object({ type: z.literal("backup"), unchanged_files: z.number().optional() });

/** What is read of a snapshot to see whether it looks like those before it. */
export interface FactRow {
  id: string;
  sequence: number;
  good: boolean;
  files: number | null;
  plainBytes: number | null;
  stats: SnapshotRow["stats"];
  jobResult: unknown;
  jobParams: unknown;
  artifact: Manifest["artifact"] | null;
}

/** A run that was told to read everything says nothing about what changed. */
const paramsSchema = z.object({ full: z.boolean().default(false) });

export function factsOf(row: FactRow): SnapshotFacts {
  const stats = statsSchema.catch({}).parse(row.stats ?? {});
  const result = resultSchema.nullable().catch(null).parse(row.jobResult);
  const files = row.files ?? 0;
  const full = paramsSchema.catch({ full: false }).parse(row.jobParams).full;
  const unchanged = stats.unchanged_files ?? (result ? (result.unchanged_files ?? 0) : null);
  const packed = row.artifact?.tar_bytes ?? 0;
  return {
    id: row.id,
    sequence: row.sequence,
    good: row.good,
    accepted: stats.accepted_at !== undefined,
    files,
    plainBytes: row.plainBytes ?? 0,
    churn: full || unchanged === null || files === 0 ? null : Math.max(0, 1 - unchanged / files),
    ratio: packed > 0 && row.artifact ? row.artifact.compressed_bytes / packed : null,
    packedBytes: packed,
    canaries: stats.canaries ?? null,
  };
}
