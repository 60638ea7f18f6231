import type { SourceSuspicion } from "@xvault/contracts";
import { and, eq, inArray, snapshots, sql, type TenantTx } from "@xvault/db";
import { type TenantId, XVaultError } from "@xvault/kernel";
import { auditCall } from "../audit.ts";
import type { Caller } from "../context.ts";
import type { ServiceDeps } from "../deps.ts";
import { resolveAlert } from "../notices/alerts.ts";
import { loadSeries, type Series, sourcesAfter } from "./load.ts";

const BATCH = 200;

/** The sources where something looks wrong that nobody has said to be right. */
export async function listSuspicions(tx: TenantTx, tenantId: TenantId): Promise<SourceSuspicion[]> {
  const found = new Map<string, SourceSuspicion>();
  let after: string | null = null;
  for (;;) {
    const ids: string[] = await sourcesAfter(tx, tenantId, after, BATCH);
    for (const series of await loadSeries(tx, tenantId, ids)) {
      if (series.suspicions.length === 0) continue;
      const { shownId: source_id, sourceName: source_name } = series;
      const before = found.get(source_id)?.findings ?? [];
      found.set(source_id, { source_id, source_name, findings: [...before, ...findingsOf(series)] });
    }
    after = ids.at(-1) ?? null;
    if (ids.length < BATCH) return [...found.values()];
  }
}

function findingsOf(series: Series): SourceSuspicion["findings"] {
  return series.suspicions.map(({ snapshotId, sequence, kind, message }) => ({
    snapshot_id: snapshotId,
    sequence,
    kind,
    message,
  }));
}

/**
 * Somebody says that what looks wrong with a source is right: its snapshots are the measure for those to come, and its rules go on.
 *
 * @throws CONFLICT where nothing looks wrong
 */
export async function acknowledge(
  tx: TenantTx,
  deps: Pick<ServiceDeps, "clock">,
  caller: Caller,
  source: { id: string },
  note: string,
): Promise<void> {
  const tenantId = caller.actor.workspace.id;
  const found = (await loadSeries(tx, tenantId, [source.id])).flatMap((series) => series.suspicions);
  if (found.length === 0) {
    throw new XVaultError("CONFLICT", "Nothing looks wrong with this source.", { fix: "There is nothing to do." });
  }
  const ids = [...new Set(found.map(({ snapshotId }) => snapshotId))];
  const accepted = JSON.stringify({ accepted_at: deps.clock.now().toISOString() });
  await tx
    .update(snapshots)
    .set({ stats: sql`coalesce(${snapshots.stats}, '{}'::jsonb) || ${accepted}::jsonb` })
    .where(and(eq(snapshots.tenantId, tenantId), inArray(snapshots.id, ids)));
  const about = { tenantId, kind: "retention_stopped", subject: { kind: "source", id: source.id } };
  await resolveAlert(tx, deps, about, `${caller.actor.email} says that it is right.${note === "" ? "" : ` ${note}`}`);
  const said = { findings: found.map(({ message }) => message).slice(0, 20), note };
  await auditCall(tx, caller, "retention.acknowledged", { kind: "source", id: source.id }, said);
}
