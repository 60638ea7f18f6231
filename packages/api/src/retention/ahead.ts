import type { LifecycleAction } from "@xvault/contracts";
import { and, eq, inArray, sources, type TenantTx } from "@xvault/db";
import type { TenantId } from "@xvault/kernel";
import { plannedStorages, loadSeries, sourcesAfter } from "./load.ts";
import { reportedUpTo } from "./move-reported.ts";
import { planSource } from "./plan.ts";
import { projectSource } from "./project.ts";
import { planReported } from "./reported.ts";
import { readRules } from "./settings.ts";
import { toAction, toReportedAction } from "./view.ts";

/** Sources that are read at a time. */
const BATCH = 200;
/** Actions that are gathered before the next ones are chosen among them. */
const GATHERED = 20_000;

interface Ahead {
  items: LifecycleAction[];
  truncated: boolean;
}

/** What a turn would do now, and what waits for what; with `until`, what ages will bring up to then, too. The next first. */
export async function lookAhead(
  tx: TenantTx,
  tenantId: TenantId,
  { now, until, limit }: { now: Date; until: Date | null; limit: number },
): Promise<Ahead> {
  const rules = await readRules(tx, tenantId);
  const storages = await plannedStorages(tx, tenantId);
  const found: LifecycleAction[] = [];
  let after: string | null = null;
  for (;;) {
    const ids: string[] = await sourcesAfter(tx, tenantId, after, BATCH);
    for (const series of await loadSeries(tx, tenantId, ids)) {
      const set = rules.get(series.packageType);
      if (!set) continue;
      const actions =
        until === null
          ? planSource(series.planned, set, storages, now)
          : projectSource(series.planned, set, storages, now, until);
      for (const action of actions) found.push(toAction(action, series, now));
    }
    after = ids.at(-1) ?? null;
    if (ids.length < BATCH || found.length > GATHERED) break;
  }
  const horizon = until ?? now;
  const rows = await reportedUpTo(tx, tenantId, rules, horizon, limit + 1);
  const named = await tx
    .select({ id: sources.id, edgeId: sources.edgeId, name: sources.name })
    .from(sources)
    .where(
      and(eq(sources.tenantId, tenantId), inArray(sources.id, [...new Set(rows.map(({ sourceId }) => sourceId))])),
    );
  const sourceOf = new Map(named.map((source) => [source.id, source]));
  for (const row of rows) {
    const set = rules.get(row.packageType);
    const source = sourceOf.get(row.sourceId);
    const action = set && planReported(row, set, horizon);
    if (action && source) found.push(toReportedAction(action, row, source));
  }
  const sorted = found.toSorted((a, b) => a.due_at.localeCompare(b.due_at));
  return { items: sorted.slice(0, limit), truncated: sorted.length > limit };
}
