import { jobProgressSchema, jobStatus, type JobProgress, type Package } from "@xvault/contracts";
import type { JobRow, PackageRow, SnapshotRow, SourceRow } from "@xvault/db";

export interface FoundPackage {
  row: PackageRow;
  job: JobRow;
  source: Pick<SourceRow, "id" | "edgeId">;
  /** Null where xVault has seen none of its bytes. */
  snapshot: Pick<SnapshotRow, "state"> | null;
}

function evidenceOf(snapshot: FoundPackage["snapshot"]): Package["evidence"] {
  if (snapshot === null) return "reported";
  if (snapshot.state === "lost") return "lost";
  return snapshot.state === "complete" ? "stored" : "removed";
}

/** A package with the job that brings it and its source, as the API shows it. The job's state is the package's status. */
export function toPackage({ row, job, source, snapshot }: FoundPackage): Package {
  const progress = jobProgressSchema.nullable().catch(null).parse(job.progress);
  const status = jobStatus(job.state);
  return {
    id: row.id,
    job_id: row.jobId,
    source_id: source.edgeId ?? source.id,
    path: row.path,
    package_type: row.packageType,
    status,
    progress_percent: status === "completed" ? 100 : (progress?.percent ?? 0),
    checksum: row.checksum,
    size_bytes: row.sizeBytes,
    tier: row.tier,
    bucket: row.tier,
    snapshot_id: row.snapshotId,
    evidence: evidenceOf(snapshot),
    created_at: row.createdAt.toISOString(),
    updated_at: row.updatedAt.toISOString(),
  };
}

/** What a client's percentage says about its job. The client does not say how fast it is, so there is no rate and no ETA. */
export function progressOf(percent: number, sizeBytes: number | null): JobProgress {
  return {
    step: "receive",
    files_done: 0,
    files_total: null,
    bytes_done: sizeBytes === null ? 0 : Math.floor((sizeBytes * percent) / 100),
    bytes_total: sizeBytes,
    percent,
    rate: null,
    eta_seconds: null,
    current_path: null,
  };
}
