import type { JobProgress } from "@xvault/contracts";
import { formatBytes, formatDuration } from "@xvault/kernel";
import { counted, printable } from "../output.ts";

const BAR = 20;

/**
 * One line on how far a job is: `pull  [######--------------]  31.4 %  120 MiB of 382 MiB  41.2 MiB/s  ETA 6 s  /etc/hosts`, no wider than
 * `columns`; the path gives way first.
 */
export function progressLine(progress: JobProgress, columns: number): string {
  const parts = [progress.step || "start"];
  if (progress.percent !== null) {
    const filled = Math.round((progress.percent / 100) * BAR);
    parts.push(`[${"#".repeat(filled)}${"-".repeat(BAR - filled)}]`, `${progress.percent.toFixed(1)} %`);
  }
  const total = progress.bytes_total === null ? "" : ` of ${formatBytes(progress.bytes_total)}`;
  parts.push(`${formatBytes(progress.bytes_done)}${total}`, counted(progress.files_done, "file"));
  if (progress.rate !== null) parts.push(`${formatBytes(progress.rate)}/s`);
  if (progress.eta_seconds !== null) parts.push(`ETA ${formatDuration(progress.eta_seconds)}`);
  const line = parts.join("  ");
  if (progress.current_path === null) return cut(line, columns);
  const room = columns - line.length - 2;
  if (room < 12) return cut(line, columns);
  const path = printable(progress.current_path).replaceAll("\n", "\\n");
  return `${line}  ${path.length > room ? `…${path.slice(-(room - 1))}` : path}`;
}

function cut(line: string, columns: number): string {
  return line.length > columns ? `${line.slice(0, Math.max(0, columns - 1))}…` : line;
}

/** The same for programs, in the terms that they know from other backup programs. */
export function statusFields(progress: JobProgress | null, startedAt: number, now: number): object {
  return {
    step: progress?.step ?? null,
    seconds_elapsed: Math.round((now - startedAt) / 1000),
    seconds_remaining: progress?.eta_seconds ?? null,
    percent_done: progress?.percent == null ? null : progress.percent / 100,
    total_files: progress?.files_total ?? null,
    files_done: progress?.files_done ?? 0,
    total_bytes: progress?.bytes_total ?? null,
    bytes_done: progress?.bytes_done ?? 0,
    bytes_per_second: progress?.rate ?? null,
    current_files: progress?.current_path == null ? [] : [progress.current_path],
  };
}
