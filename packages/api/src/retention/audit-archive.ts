import {
  and,
  type AuditPiece,
  closeArchivedAudit,
  deleteAuditThrough,
  desc,
  eq,
  jobs,
  type JobRow,
  oldAuditEntries,
  type TenantTx,
  weighAuditPiece,
} from "@xvault/db";
import type { TenantId } from "@xvault/kernel";
import { auditSystem } from "../audit.ts";
import type { ServiceDeps } from "../deps.ts";
import { announceJob } from "../jobs/announce.ts";
import { insertJob } from "../jobs/enqueue.ts";
import { auditParamsOf } from "../jobs/params.ts";
import { isFinal } from "../jobs/states.ts";
import { archiveAlert } from "../notices/audit-archive.ts";
import { raiseAlert } from "../notices/alerts.ts";
import { auditSource, knownAuditSource } from "../sources/audit-source.ts";
import { lockSource } from "../workers/busy.ts";
import { DAY } from "./ages.ts";

/** Entries that one archive has at most. */
const MOST = 100_000;
/** Entries gather for so long, at most, before they are archived together: a twelfth of the days that they are kept, a month at most. */
const GATHERED = 1 / 12;
const MOST_GATHERED = 30 * DAY;
/** How long after one that failed or was cancelled no other is begun, in milliseconds. */
const PAUSE = 6 * 60 * 60_000;
/** An archive that nobody has begun for so long is told of, in milliseconds. */
const WAITS_TOO_LONG = DAY;

type Deps = Pick<ServiceDeps, "db" | "clock" | "queue" | "feed" | "log">;

/**
 * A turn at a workspace's audit log: what lies in an archive that is there leaves the database, and what is older than its days is given to a worker to
 * archive. Nothing is deleted that no whole copy of a published snapshot holds. Where it cannot be archived it stays, and an alert says so.
 *
 * @returns whether there is something to see to soon: an archive is being made
 */
export async function turnOfAuditLog(deps: Deps, tenantId: TenantId, days: number): Promise<boolean> {
  const { db, clock } = deps;
  const through = await db.withTenant(tenantId, (tx) => closeArchivedAudit(tx, tenantId, clock));
  if (through) {
    let deleted: number;
    do {
      deleted = await db.withSystem((tx) => deleteAuditThrough(tx, tenantId, through));
    } while (deleted > 0);
  }
  const job = await db.withTenant(tenantId, (tx) => queueArchive(tx, deps, tenantId, days));
  if (job && job !== "open") await announceJob(deps, job);
  return job !== null;
}

/** Queues a job that archives the log's beginning, where it is time. 'open': one waits or works. Null: there is nothing to do. */
async function queueArchive(
  tx: TenantTx,
  deps: Deps,
  tenantId: TenantId,
  days: number,
): Promise<JobRow | "open" | null> {
  const now = deps.clock.now();
  const last = await lastArchive(tx, tenantId);
  if (last && !isFinal(last.state)) {
    if (last.state === "queued" && now.getTime() - last.createdAt.getTime() > WAITS_TOO_LONG) {
      await raiseAlert(tx, deps, archiveAlert(tenantId, "No worker has begun to archive them for a day.", last.id));
    }
    return "open";
  }
  const isFruitless = last?.state === "failed" || last?.state === "cancelled";
  if (isFruitless && now.getTime() - (last.finishedAt ?? last.createdAt).getTime() < PAUSE) return null;
  const old = await oldAuditEntries(tx, tenantId, new Date(now.getTime() - days * DAY), MOST);
  const gathering = Math.min(MOST_GATHERED, days * DAY * GATHERED);
  if (!old || now.getTime() - old.firstAt.getTime() < days * DAY + gathering) return null;
  const piece = await weighAuditPiece(tx, tenantId, old.fromSeq, old.throughSeq);
  if ("brokenAt" in piece) {
    const why = `Entry ${piece.brokenAt} is missing or not what was written.`;
    await raiseAlert(tx, deps, { ...archiveAlert(tenantId, why, null), severity: "critical" });
    return null;
  }
  const source = await auditSource(tx, tenantId);
  // Another hub may be at it.
  await lockSource(tx, source.id);
  if ((await lastArchive(tx, tenantId))?.id !== last?.id) return "open";
  return insert(tx, tenantId, source.id, piece, now);
}

async function insert(tx: TenantTx, tenantId: TenantId, sourceId: string, piece: AuditPiece, now: Date) {
  const job = await insertJob(tx, {
    tenantId,
    type: "audit_archive",
    trigger: "system",
    params: auditParamsOf(piece),
    sourceId,
    now,
  });
  const actor = { kind: "system", id: null, label: "xVault" } as const;
  const about = { job_id: job.id, from_seq: piece.fromSeq, through_seq: piece.throughSeq };
  await auditSystem(tx, tenantId, actor, "audit.archive_queued", { kind: "job", id: job.id }, about);
  return job;
}

async function lastArchive(tx: TenantTx, tenantId: TenantId): Promise<JobRow | undefined> {
  const source = await knownAuditSource(tx, tenantId);
  if (!source) return undefined;
  const [row] = await tx
    .select()
    .from(jobs)
    .where(and(eq(jobs.tenantId, tenantId), eq(jobs.sourceId, source.id), eq(jobs.type, "audit_archive")))
    .orderBy(desc(jobs.createdAt))
    .limit(1);
  return row;
}
