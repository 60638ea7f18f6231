import type { Source } from "@xvault/contracts";
import { alerts, and, eq, inArray, isNull, sources, sql, type TenantTx } from "@xvault/db";
import type { TenantId } from "@xvault/kernel";
import type { ServiceDeps } from "../deps.ts";
import { OVERDUE_AFTER } from "../sources/health.ts";
import { readSources } from "../sources/read.ts";
import { raiseAlert, resolveAlert } from "./alerts.ts";
import { emitEvent } from "./events.ts";

const KIND = "source_overdue";

/** Why a source is not overdue any more. */
const RESOLUTIONS: Record<Exclude<Source["health"], "overdue">, string> = {
  protected: "The source was backed up.",
  warning: "The source was backed up, in part.",
  failed: "Its backup has run and failed, which has an alert of its own.",
  unprotected: "A backup of the source runs.",
  paused: "The source was paused.",
};

/** A step of the scheduler: opens an alert for every source whose backup was due and did not come, and resolves it when one has. */
export async function watchOverdue(deps: Pick<ServiceDeps, "db" | "clock">): Promise<void> {
  const before = new Date(deps.clock.now().getTime() - OVERDUE_AFTER).toISOString();
  // Those that may be, and those that were: what they are is for one judge alone, see sourceHealth.
  const found = await deps.db.withSystem((tx) =>
    tx.execute<{ tenant_id: string; source_id: string }>(sql`
      select plan.tenant_id, plan.source_id from schedules plan
      join sources source on source.tenant_id = plan.tenant_id and source.id = plan.source_id
      where plan.enabled and source.state = 'active' and source.deleted_at is null
        and (plan.next_run_at < ${before} or (plan.last_run_at < ${before} and not exists (
          select 1 from snapshots made where made.tenant_id = plan.tenant_id and made.source_id = plan.source_id
            and made.state = 'complete' and made.created_at >= plan.last_run_at)))
      union select tenant_id, subject_id from alerts where kind = ${KIND} and resolved_at is null`),
  );
  const byTenant = Map.groupBy(found, (row) => row.tenant_id);
  let failure: unknown = null;
  for (const [tenantId, rows] of byTenant) {
    const ids = rows.map((row) => row.source_id);
    try {
      await deps.db.withTenant(tenantId as TenantId, (tx) => judge(tx, deps, tenantId as TenantId, ids));
    } catch (error) {
      // One workspace that cannot be judged must not silence the alerts of all others.
      failure ??= error;
    }
  }
  if (failure !== null) throw failure;
}

async function judge(tx: TenantTx, deps: Pick<ServiceDeps, "clock">, tenantId: TenantId, ids: string[]): Promise<void> {
  const rows = await tx
    .select()
    .from(sources)
    .where(and(eq(sources.tenantId, tenantId), inArray(sources.id, ids), isNull(sources.deletedAt)));
  const open = await tx
    .select({ sourceId: alerts.subjectId })
    .from(alerts)
    .where(and(eq(alerts.tenantId, tenantId), eq(alerts.kind, KIND), isNull(alerts.resolvedAt)));
  const isOpen = new Set(open.map((row) => row.sourceId));
  for (const source of await readSources(tx, tenantId, deps.clock.now(), rows)) {
    const about = { tenantId, kind: KIND, subject: { kind: "source", id: source.id } };
    if (source.health !== "overdue") await resolveAlert(tx, deps, about, RESOLUTIONS[source.health]);
    else if (!isOpen.has(source.id)) await raise(tx, deps, about, source);
  }
}

async function raise(
  tx: TenantTx,
  deps: Pick<ServiceDeps, "clock">,
  about: { tenantId: TenantId; kind: string; subject: { kind: string; id: string } },
  source: Source,
): Promise<void> {
  const last = source.last_snapshot?.created_at ?? null;
  const since =
    last === null ? "It has no backup yet" : `The last one is of ${last.slice(0, 16).replace("T", " ")} UTC`;
  const data = { source_name: source.name, last_snapshot_at: last };
  await emitEvent(tx, about.tenantId, "source.overdue", about.subject, data);
  await raiseAlert(tx, deps, {
    ...about,
    severity: "critical",
    message: `${source.name} is overdue: its schedule wanted a backup more than an hour ago, and none came. ${since}.`,
    fix: "See whether a worker is online and what the source's last job says; then start a backup.",
    data: { last_snapshot_at: last },
  });
}
