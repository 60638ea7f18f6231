import type { workerProtocol, WorkerOutput } from "@xvault/contracts";
import { and, eq, jobs, type JobRow, lt, packages, sql, type TenantTx, type WorkerRow } from "@xvault/db";
import { type TenantId, XVaultError } from "@xvault/kernel";
import type { z } from "zod";
import type { ServiceDeps } from "../deps.ts";
import { EDGE_TYPE, isFinal, LEASE_SECONDS } from "../jobs/states.ts";
import { redeemUploadTicket } from "../packages/upload-ticket.ts";
import { isSourceBusy } from "./busy.ts";
import { reserveSnapshot, takeJob } from "./reserve.ts";

type In<C extends keyof typeof workerProtocol> = z.output<(typeof workerProtocol)[C]["input"]>;

/** The calls by which a worker takes a package's bytes from a client that shows it a ticket. */
export function createUploadCalls(deps: ServiceDeps) {
  const { db, clock, feed } = deps;

  return {
    upload_ticket: async (worker: WorkerRow, input: In<"upload_ticket">): Promise<WorkerOutput<"upload_ticket">> => {
      const { jobId, expiresAt } = await redeemUploadTicket(deps, input.ticket, worker.id);
      return { job_id: jobId, expires_at: expiresAt.toISOString() };
    },

    begin_upload: async (worker: WorkerRow, input: In<"begin_upload">): Promise<WorkerOutput<"begin_upload">> => {
      const ticket = await redeemUploadTicket(deps, input.ticket, worker.id);
      const tenantId = ticket.tenantId as TenantId;
      if (worker.state !== "active") {
        throw new XVaultError("NO_WORKER", "This worker takes no more packages.", {
          fix: "Ask the hub for another place to send the package to.",
        });
      }
      const begun = await db.withTenant(tenantId, async (tx) => {
        const [job] = await tx
          .select()
          .from(jobs)
          .where(and(eq(jobs.tenantId, tenantId), eq(jobs.id, ticket.jobId), eq(jobs.type, EDGE_TYPE)))
          .for("update");
        if (!job) throw new XVaultError("NOT_FOUND", "There is no such package.");
        await checkFree(tx, job, worker);
        const leased = await takeJob(tx, job, worker, clock.now());
        const { target } = await reserveSnapshot(tx, leased, worker);
        const [row] = await tx
          .select()
          .from(packages)
          .where(and(eq(packages.tenantId, tenantId), eq(packages.id, job.id)));
        if (!row || row.sizeBytes === null || row.checksum === null) throw new XVaultError("INTERNAL");
        const { path, sizeBytes: size_bytes, checksum } = row;
        return { attempt: leased.attempt, payload: { type: "ingest" as const, ...target, path, size_bytes, checksum } };
      });
      feed.announce(ticket.jobId);
      return { job_id: ticket.jobId, lease_seconds: LEASE_SECONDS, ...begun };
    },
  };
}

/**
 * Whether a worker may begin to take a package's bytes. One that has begun and knows nothing of it any more begins anew.
 *
 * @throws CONFLICT for one that has ended, or that another worker is at; RATE_LIMITED while another job of its source has its turn
 */
async function checkFree(tx: TenantTx, job: JobRow, worker: WorkerRow): Promise<void> {
  if (isFinal(job.state) || job.cancelRequestedAt !== null) {
    throw new XVaultError("CONFLICT", "The package has ended and stays as it ended.", { fix: "Ingest it anew." });
  }
  if (job.state === "running" && job.leaseExpiresAt !== null && job.workerId !== worker.id) {
    const over = and(eq(jobs.tenantId, job.tenantId), eq(jobs.id, job.id), lt(jobs.leaseExpiresAt, sql`now()`));
    const [silent] = await tx.select({ id: jobs.id }).from(jobs).where(over);
    if (!silent) {
      throw new XVaultError("CONFLICT", "Another worker takes this package's bytes.", {
        fix: "Ask the hub where to send them.",
        retry: true,
      });
    }
  }
  if (await isSourceBusy(tx, job)) {
    throw new XVaultError("RATE_LIMITED", "Another package or job of this source has its turn.", {
      fix: "Wait a moment and try again: what comes from one source is stored one after the other.",
    });
  }
}
