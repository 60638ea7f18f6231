import type { LifecycleAction } from "@xvault/contracts";
import type { PackageRow, SourceRow } from "@xvault/db";
import { formatDuration, shortId } from "@xvault/kernel";
import type { Series } from "./load.ts";
import type { Action, WaitsFor } from "./model.ts";
import type { ReportedAction } from "./reported.ts";

/** A planned action as the API shows it. */
export function toAction(action: Action, series: Series, now: Date): LifecycleAction {
  const shown = series.packages.get(action.snapshotId);
  return {
    kind: action.kind,
    snapshot_id: action.snapshotId,
    package_id: shown?.id ?? null,
    source_id: series.shownId,
    source_name: series.sourceName,
    path: shown?.path ?? null,
    from_tier: action.fromTier,
    to_tier: action.toTier,
    due_at: action.due.toISOString(),
    reason: action.reason,
    size_bytes: action.sizeBytes,
    evidence: "stored",
    waits_for: action.waitsFor && toWaitsFor(action.waitsFor, now),
  };
}

/** What age does to a package that a client only speaks of. */
export function toReportedAction(
  action: ReportedAction,
  row: PackageRow,
  source: Pick<SourceRow, "id" | "edgeId" | "name">,
): LifecycleAction {
  return {
    kind: action.to === null ? "expire" : "move",
    snapshot_id: null,
    package_id: row.id,
    source_id: source.edgeId ?? source.id,
    source_name: source.name,
    path: row.path,
    from_tier: action.from,
    to_tier: action.to,
    due_at: action.due.toISOString(),
    reason: action.to === null ? "The end of its rules." : `Old enough for the ${action.to} tier.`,
    size_bytes: row.sizeBytes ?? 0,
    evidence: "reported",
    waits_for: null,
  };
}

function toWaitsFor(waits: WaitsFor, now: Date): NonNullable<LifecycleAction["waits_for"]> {
  const nothing = { snapshot_id: null, until: null };
  switch (waits.kind) {
    case "snapshot":
      return {
        ...nothing,
        kind: waits.kind,
        snapshot_id: waits.snapshotId,
        message: `Snapshot ${shortId(waits.snapshotId)} needs it where it is.`,
      };
    case "acknowledgement":
      return { ...nothing, kind: waits.kind, message: `Something looks wrong: ${waits.suspicions[0] ?? ""}` };
    case "lock": {
      const left = formatDuration((waits.until.getTime() - now.getTime()) / 1000);
      return {
        ...nothing,
        kind: waits.kind,
        until: waits.until.toISOString(),
        message: `Its storage locks it for ${left} more.`,
      };
    }
    case "storage":
      return {
        ...nothing,
        kind: waits.kind,
        message: `There is no storage in the ${waits.tier} tier or beyond: it stays.`,
      };
    case "worker":
      return {
        ...nothing,
        // To a program it is what it was before: no copy that anybody could do something with.
        kind: "copy",
        message:
          "It lies with a worker that was revoked, where nobody can remove it: bring its disk to another worker.",
      };
    case "copy":
      return { ...nothing, kind: waits.kind, message: "There is no whole copy to go on from." };
  }
}
