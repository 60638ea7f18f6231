import { type Source, hostKeySchema, packageTypeSchema, sourceOptionsSchema } from "@xvault/contracts";
import {
  and,
  count,
  credentials,
  desc,
  eq,
  inArray,
  isNull,
  jobs,
  ne,
  schedules,
  snapshots,
  sources,
  type SourceRow,
  type TenantTx,
} from "@xvault/db";
import type { TenantId } from "@xvault/kernel";
import { toCredential } from "./credentials.ts";
import { sourceHealth } from "./health.ts";

/** Sources of a workspace as the API shows them, its own audit log not among them, each with its schedule, last job and last snapshot. `only`: these rows alone. */
export async function readSources(tx: TenantTx, tenantId: TenantId, now: Date, only?: SourceRow[]): Promise<Source[]> {
  const rows =
    only ??
    (await tx
      .select()
      .from(sources)
      .where(and(eq(sources.tenantId, tenantId), isNull(sources.deletedAt), ne(sources.kind, "audit")))
      .orderBy(sources.name));
  if (rows.length === 0) return [];
  const ids = rows.map((row) => row.id);

  const lastSnapshots = await tx
    .selectDistinctOn([snapshots.sourceId])
    .from(snapshots)
    .where(and(eq(snapshots.tenantId, tenantId), eq(snapshots.state, "complete"), inArray(snapshots.sourceId, ids)))
    .orderBy(snapshots.sourceId, desc(snapshots.createdAt));
  const counts = await tx
    .select({ sourceId: snapshots.sourceId, n: count() })
    .from(snapshots)
    .where(and(eq(snapshots.tenantId, tenantId), eq(snapshots.state, "complete"), inArray(snapshots.sourceId, ids)))
    .groupBy(snapshots.sourceId);
  const lastJobs = await tx
    .selectDistinctOn([jobs.sourceId])
    .from(jobs)
    .where(and(eq(jobs.tenantId, tenantId), eq(jobs.type, "backup"), inArray(jobs.sourceId, ids)))
    .orderBy(jobs.sourceId, desc(jobs.createdAt));
  const plans = await tx
    .select()
    .from(schedules)
    .where(and(eq(schedules.tenantId, tenantId), inArray(schedules.sourceId, ids)));
  const secrets = await tx.select().from(credentials).where(eq(credentials.tenantId, tenantId));

  return rows.map((row): Source => {
    const snapshot = lastSnapshots.find((one) => one.sourceId === row.id);
    const job = lastJobs.find((one) => one.sourceId === row.id);
    const schedule = plans.find((one) => one.sourceId === row.id);
    const credential = secrets.find((one) => one.id === row.credentialId);
    return {
      id: row.id,
      source_id: row.edgeId ?? row.id,
      name: row.name,
      label: row.name,
      kind: row.kind,
      connection:
        row.kind === "ssh" && row.host && row.port && row.username && credential
          ? {
              host: row.host,
              port: row.port,
              username: row.username,
              host_key: hostKeySchema.parse(row.hostKey),
              credential: toCredential(credential),
            }
          : null,
      paths: row.paths,
      excludes: row.excludes,
      options: sourceOptionsSchema.parse(row.options),
      package_type: packageTypeSchema.catch("user_data").parse(row.packageType),
      state: row.state,
      paused_reason: row.pausedReason,
      health: sourceHealth(
        {
          state: row.state,
          lastSnapshot: snapshot ?? null,
          lastJobState: job?.state ?? null,
          lastRunAt: schedule?.enabled ? schedule.lastRunAt : null,
          nextRunAt: schedule?.enabled ? schedule.nextRunAt : null,
        },
        now,
      ),
      schedule: schedule
        ? {
            id: schedule.id,
            cron: schedule.cron,
            timezone: schedule.timezone,
            enabled: schedule.enabled,
            next_run_at: schedule.nextRunAt?.toISOString() ?? null,
          }
        : null,
      last_snapshot: snapshot
        ? {
            id: snapshot.id,
            created_at: snapshot.createdAt.toISOString(),
            size_bytes: snapshot.sizeBytes ?? 0,
            files: snapshot.files ?? 0,
            partial: snapshot.partial,
          }
        : null,
      last_job: job ? { id: job.id, state: job.state, created_at: job.createdAt.toISOString() } : null,
      snapshot_count: counts.find((one) => one.sourceId === row.id)?.n ?? 0,
      last_seen_at: row.lastSeenAt?.toISOString() ?? null,
      created_at: row.createdAt.toISOString(),
      updated_at: row.updatedAt.toISOString(),
    };
  });
}
