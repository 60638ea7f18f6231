import type { Job } from "@xvault/contracts";
import { STATES_OF_STATUS } from "@xvault/contracts";
import {
  and,
  asc,
  desc,
  eq,
  gt,
  inArray,
  jobEvents,
  jobs,
  type JobRow,
  lt,
  not,
  or,
  sources,
  type TenantTx,
} from "@xvault/db";
import { XVaultError } from "@xvault/kernel";
import { auditCall } from "../audit.ts";
import type { Caller } from "../context.ts";
import type { ServiceDeps } from "../deps.ts";
import { decodeCursor, toPage } from "../pages.ts";
import type { JobService } from "../services.ts";
import { connectionOf, findSource } from "../sources/find.ts";
import { announceJob } from "./announce.ts";
import { toJob, toJobEvent } from "./dto.ts";
import { insertJob } from "./enqueue.ts";
import { nextChange } from "./feed.ts";
import { insertRestore, quoteRestore } from "./restore.ts";
import { EDGE_TYPE, isFinal } from "./states.ts";

/** Jobs that are shown in lists; the others answer one click and are gone. */
const LISTED_TYPES = ["backup", "restore", "verify", "drill", "transfer", "expire", "ingest", "audit_archive"] as const;

export function createJobService(deps: ServiceDeps): JobService {
  const { db, clock } = deps;

  async function load(tx: TenantTx, caller: Caller, id: string): Promise<{ row: JobRow; job: Job }> {
    const [found] = await tx
      .select({ row: jobs, source: sources })
      .from(jobs)
      .leftJoin(sources, and(eq(sources.tenantId, jobs.tenantId), eq(sources.id, jobs.sourceId)))
      .where(and(eq(jobs.tenantId, caller.actor.workspace.id), eq(jobs.id, id)));
    if (!found) throw new XVaultError("NOT_FOUND");
    return { row: found.row, job: toJob(found.row, found.source) };
  }

  const trigger = (caller: Caller) => (caller.actor.kind === "token" ? "api" : "manual");

  return {
    list: (caller, input) =>
      db.withTenant(caller.actor.workspace.id, async (tx) => {
        const filters = [eq(jobs.tenantId, caller.actor.workspace.id)];
        filters.push(input.type ? eq(jobs.type, input.type) : inArray(jobs.type, [...LISTED_TYPES]));
        // Checks that came by themselves and found nothing would bury the rest: who wants them asks for checks.
        const routine = and(eq(jobs.type, "verify"), eq(jobs.trigger, "schedule"), eq(jobs.state, "success"));
        if (!input.type && routine) filters.push(not(routine));
        if (input.state) filters.push(eq(jobs.state, input.state));
        if (input.status) filters.push(inArray(jobs.state, STATES_OF_STATUS[input.status]));
        if (input.source_id) filters.push(eq(jobs.sourceId, (await findSource(tx, caller, input.source_id)).id));
        if (input.cursor) {
          const { at, id } = decodeCursor(input.cursor);
          const older = or(lt(jobs.createdAt, at), and(eq(jobs.createdAt, at), lt(jobs.id, id)));
          if (older) filters.push(older);
        }
        const rows = await tx
          .select({ row: jobs, source: sources })
          .from(jobs)
          .leftJoin(sources, and(eq(sources.tenantId, jobs.tenantId), eq(sources.id, jobs.sourceId)))
          .where(and(...filters))
          .orderBy(desc(jobs.createdAt), desc(jobs.id))
          .limit(input.limit + 1);
        return toPage(
          rows,
          input.limit,
          ({ row, source }) => toJob(row, source),
          ({ row }) => ({ at: row.createdAt, id: row.id }),
        );
      }),

    get: (caller, id) => db.withTenant(caller.actor.workspace.id, async (tx) => (await load(tx, caller, id)).job),

    events: (caller, id, after, limit) =>
      db.withTenant(caller.actor.workspace.id, async (tx) => {
        await load(tx, caller, id);
        const rows = await tx
          .select()
          .from(jobEvents)
          .where(
            and(eq(jobEvents.tenantId, caller.actor.workspace.id), eq(jobEvents.jobId, id), gt(jobEvents.id, after)),
          )
          .orderBy(asc(jobEvents.id))
          .limit(limit);
        return rows.map(toJobEvent);
      }),

    async *watch(caller, id, signal) {
      let seen = 0;
      let shown = "";
      while (!signal.aborted) {
        // Listening starts before looking, so that nothing falls between the two.
        const next = nextChange(deps.feed, id, 5000, signal);
        try {
          const job = await this.get(caller, id);
          const text = JSON.stringify(job);
          if (text !== shown) yield { kind: "job", job };
          shown = text;
          const events = await this.events(caller, id, seen, 500);
          const last = events.at(-1);
          if (last) {
            seen = last.id;
            yield { kind: "events", events };
          }
          if (isFinal(job.state)) return;
          await next.changed;
        } finally {
          next.stop();
        }
      }
    },

    async cancel(caller, id) {
      const { row, job } = await db.withTenant(caller.actor.workspace.id, async (tx) => {
        const now = clock.now();
        const [locked] = await tx
          .select()
          .from(jobs)
          .where(and(eq(jobs.tenantId, caller.actor.workspace.id), eq(jobs.id, id)))
          .for("update");
        if (!locked) throw new XVaultError("NOT_FOUND");
        if (isFinal(locked.state)) throw new XVaultError("JOB_NOT_CANCELLABLE");
        // A running job hears it with its next heartbeat; one that waits, or of which no worker has the bytes, ends here.
        const change =
          locked.state === "queued" || (locked.type === EDGE_TYPE && locked.leaseExpiresAt === null)
            ? { state: "cancelled" as const, cancelRequestedAt: now, finishedAt: now }
            : { cancelRequestedAt: locked.cancelRequestedAt ?? now };
        await tx
          .update(jobs)
          .set(change)
          .where(and(eq(jobs.tenantId, locked.tenantId), eq(jobs.id, id)));
        await auditCall(tx, caller, "job.cancelled", { kind: "job", id });
        return load(tx, caller, id);
      });
      deps.feed.announce(row.id);
      return job;
    },

    async backUp(caller, { id, full }) {
      const row = await db.withTenant(caller.actor.workspace.id, async (tx) => {
        const source = await findSource(tx, caller, id);
        if (source.state === "paused")
          throw new XVaultError("SOURCE_PAUSED", undefined, { data: { reason: source.pausedReason } });
        connectionOf(source);
        if (source.paths.length === 0) throw new XVaultError("PATH_INVALID", "The source names no path to back up.");
        const job = await insertJob(tx, {
          tenantId: caller.actor.workspace.id,
          type: "backup",
          trigger: trigger(caller),
          params: { paths: source.paths, full },
          sourceId: source.id,
          targetWorkerId: source.workerId,
          requestedBy: caller.actor.userId,
          now: clock.now(),
        });
        await auditCall(tx, caller, "backup.requested", { kind: "source", id: source.id }, { job_id: job.id, full });
        return job;
      });
      await announceJob(deps, row);
      return this.get(caller, row.id);
    },

    async restore(caller, input) {
      const row = await db.withTenant(caller.actor.workspace.id, async (tx) => {
        const job = await insertRestore(deps, tx, caller.actor.workspace.id, input, {
          trigger: trigger(caller),
          requestedBy: caller.actor.userId,
        });
        await auditCall(
          tx,
          caller,
          "restore.requested",
          { kind: "snapshot", id: input.snapshot_id },
          {
            job_id: job.id,
            target_source_id: input.target.source_id,
            target_path: input.target.path,
            paths: input.paths.slice(0, 50),
          },
        );
        return job;
      });
      await announceJob(deps, row);
      return this.get(caller, row.id);
    },

    quote: (caller, input) => quoteRestore(deps, caller.actor.workspace.id, input, caller.actor.userId),
  };
}
