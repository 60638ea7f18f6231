import { type JobState, type JobStatus, STATES_OF_STATUS, type updatePackageInput } from "@xvault/contracts";
import {
  and,
  desc,
  eq,
  inArray,
  jobEvents,
  jobs,
  type JobRow,
  lt,
  or,
  packages,
  type PackageRow,
  snapshots,
  sources,
  type TenantTx,
} from "@xvault/db";
import { XVaultError } from "@xvault/kernel";
import type { z } from "zod";
import { auditCall } from "../audit.ts";
import type { Caller } from "../context.ts";
import type { ServiceDeps } from "../deps.ts";
import { insertJob } from "../jobs/enqueue.ts";
import { EDGE_TYPE, isFinal } from "../jobs/states.ts";
import { emitEvent } from "../notices/events.ts";
import { decodeCursor, toPage } from "../pages.ts";
import type { PackageService } from "../services.ts";
import { findSource } from "../sources/find.ts";
import { progressOf, toPackage } from "./dto.ts";
import { edgeSource } from "./edge-source.ts";
import { prepareUpload } from "./upload.ts";

type Report = z.output<typeof updatePackageInput>;

const STATE_OF: Record<JobStatus, JobState> = {
  pending: "queued",
  in_progress: "running",
  completed: "success",
  failed: "failed",
};

export function createPackageService(
  deps: Pick<ServiceDeps, "db" | "clock" | "feed" | "platformKeys">,
): PackageService {
  const { db, clock, feed } = deps;

  const joined = (tx: TenantTx) =>
    tx
      .select({ row: packages, job: jobs, source: sources, snapshot: snapshots })
      .from(packages)
      .innerJoin(jobs, and(eq(jobs.tenantId, packages.tenantId), eq(jobs.id, packages.jobId)))
      .innerJoin(sources, and(eq(sources.tenantId, packages.tenantId), eq(sources.id, packages.sourceId)))
      .leftJoin(snapshots, and(eq(snapshots.tenantId, packages.tenantId), eq(snapshots.id, packages.snapshotId)));

  async function load(tx: TenantTx, caller: Caller, id: string) {
    const [found] = await joined(tx).where(and(eq(packages.tenantId, caller.actor.workspace.id), eq(packages.id, id)));
    if (!found) throw new XVaultError("NOT_FOUND", "There is no such package.");
    return found;
  }

  return {
    async ingest(caller, input) {
      const tenantId = caller.actor.workspace.id;
      const id = await db.withTenant(tenantId, async (tx) => {
        const now = clock.now();
        const source = await edgeSource(tx, caller, input.source_id, now);
        const tier = input.tier_hint ?? "hot";
        const job = await insertJob(tx, {
          tenantId,
          type: EDGE_TYPE,
          trigger: caller.actor.kind === "token" ? "api" : "manual",
          params: { path: input.path, tier },
          sourceId: source.id,
          requestedBy: caller.actor.userId,
          now,
        });
        await tx.insert(packages).values({
          id: job.id,
          jobId: job.id,
          tenantId,
          sourceId: source.id,
          path: input.path,
          packageType: input.package_type,
          tier,
          sizeBytes: input.size_bytes ?? null,
          checksum: input.checksum ?? null,
          createdAt: now,
          updatedAt: now,
        });
        const about = { source_id: source.id, path: input.path, package_type: input.package_type };
        await auditCall(tx, caller, "package.ingested", { kind: "package", id: job.id }, about);
        return job.id;
      });
      feed.announce(id);
      return { job_id: id };
    },

    get: (caller, id) =>
      db.withTenant(caller.actor.workspace.id, async (tx) => {
        const found = await load(tx, caller, id);
        return toPackage(found);
      }),

    list: (caller, input) =>
      db.withTenant(caller.actor.workspace.id, async (tx) => {
        const filters = [eq(packages.tenantId, caller.actor.workspace.id)];
        if (input.status) filters.push(inArray(jobs.state, STATES_OF_STATUS[input.status]));
        if (input.bucket) filters.push(eq(packages.tier, input.bucket));
        if (input.source_id) filters.push(eq(packages.sourceId, (await findSource(tx, caller, input.source_id)).id));
        if (input.cursor) {
          const { at, id } = decodeCursor(input.cursor);
          const older = or(lt(packages.createdAt, at), and(eq(packages.createdAt, at), lt(packages.id, id)));
          if (older) filters.push(older);
        }
        const rows = await joined(tx)
          .where(and(...filters))
          .orderBy(desc(packages.createdAt), desc(packages.id))
          .limit(input.limit + 1);
        return toPage(rows, input.limit, toPackage, ({ row }) => ({ at: row.createdAt, id: row.id }));
      }),

    async update(caller, input) {
      const tenantId = caller.actor.workspace.id;
      const shown = await db.withTenant(tenantId, async (tx) => {
        const mine = and(eq(jobs.tenantId, tenantId), eq(jobs.id, input.id), eq(jobs.type, EDGE_TYPE));
        const [job] = await tx.select().from(jobs).where(mine).for("update");
        if (!job) throw new XVaultError("NOT_FOUND", "There is no such package.");
        const { row, source } = await load(tx, caller, input.id);
        const now = clock.now();
        const change = changeOf(row, job, input);
        if (change) {
          await tx
            .update(packages)
            .set({ checksum: change.checksum, updatedAt: now })
            .where(and(eq(packages.tenantId, tenantId), eq(packages.id, row.id)));
          const over = isFinal(change.state);
          await tx
            .update(jobs)
            .set({
              state: change.state,
              progress: change.percent === null ? job.progress : progressOf(change.percent, row.sizeBytes),
              heartbeatAt: now,
              startedAt: job.startedAt ?? (change.state === "queued" ? null : now),
              finishedAt: over ? now : null,
              error: change.state === "failed" ? { ...new XVaultError("EDGE_FAILED").report() } : null,
            })
            .where(mine);
          await tx
            .update(sources)
            .set({ lastSeenAt: now })
            .where(and(eq(sources.tenantId, tenantId), eq(sources.id, source.id)));
          if (change.state !== job.state) await tell(tx, caller, job, change.state);
        }
        const found = await load(tx, caller, input.id);
        return toPackage(found);
      });
      feed.announce(input.id);
      return shown;
    },

    upload: (caller, input) => prepareUpload(deps, caller, input),
  };
}

interface Change {
  state: JobState;
  percent: number | null;
  checksum: string | null;
}

/**
 * What a client's report changes; null where it says again what is known of a package that has ended.
 *
 * @throws CONFLICT where it would take back what ended or began, or say of bytes that a worker is taking what only that worker knows; CHECKSUM_MISMATCH against what was said before; INPUT_INVALID where
 * a package of some size would be complete without a checksum
 */
function changeOf(row: PackageRow, job: JobRow, report: Report): Change | null {
  if (report.checksum !== undefined && row.checksum !== null && report.checksum !== row.checksum) {
    throw new XVaultError("CHECKSUM_MISMATCH", "This is not the checksum that the package was announced with.");
  }
  const checksum = report.checksum ?? row.checksum;
  // Progress alone means that the work has begun.
  const begun = report.progress_percent !== undefined && job.state === "queued" ? "running" : job.state;
  const state = report.status === undefined ? begun : STATE_OF[report.status];
  if (isFinal(job.state)) {
    const said = report.status === undefined || STATES_OF_STATUS[report.status].includes(job.state);
    const same =
      said && (report.status !== undefined || report.progress_percent === undefined) && checksum === row.checksum;
    if (same) return null;
    throw new XVaultError("CONFLICT", "The package has ended and stays as it ended.", { fix: "Ingest it anew." });
  }
  if (job.state === "running" && job.leaseExpiresAt !== null) {
    const same = state === "running" && report.progress_percent === undefined && checksum === row.checksum;
    if (same) return null;
    throw new XVaultError("CONFLICT", "A worker is taking this package's bytes and says itself how far it is.", {
      fix: "Wait until it has them, or cancel the job.",
    });
  }
  if (state === "queued" && job.state === "running") {
    throw new XVaultError("CONFLICT", "The package is in progress and does not go back to pending.");
  }
  if (state === "success" && row.sizeBytes !== null && row.sizeBytes > 0 && checksum === null) {
    throw new XVaultError("INPUT_INVALID", "A package with a size is complete only with its checksum.");
  }
  return { state, checksum, percent: state === "success" ? 100 : (report.progress_percent ?? null) };
}

/** Writes a new state into the job's log and, but for the beginning, into the audit log. */
async function tell(tx: TenantTx, caller: Caller, job: JobRow, state: JobState): Promise<void> {
  const words = {
    running: "The client has begun.",
    success: "The client says that it is complete.",
    failed: "The client says that it failed.",
  };
  const message = words[state as keyof typeof words];
  const level = state === "failed" ? "error" : "info";
  await tx
    .insert(jobEvents)
    .values({ tenantId: job.tenantId, jobId: job.id, attempt: job.attempt, step: "receive", level, message });
  if (!isFinal(state)) return;
  const action = state === "success" ? "package.completed" : "package.failed";
  await auditCall(tx, caller, action, { kind: "package", id: job.id });
  await emitEvent(tx, caller.actor.workspace.id, action, { kind: "package", id: job.id }, { source_id: job.sourceId });
}
