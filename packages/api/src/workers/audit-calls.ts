import type { workerProtocol, WorkerOutput } from "@xvault/contracts";
import { auditPage, type WorkerRow } from "@xvault/db";
import { XVaultError } from "@xvault/kernel";
import type { z } from "zod";
import type { ServiceDeps } from "../deps.ts";
import { jobParams } from "../jobs/params.ts";
import { withHeldJob } from "./held.ts";

type In = z.output<(typeof workerProtocol)["audit_entries"]["input"]>;

/** The call by which a worker gets the entries of the audit log that the job it holds archives, and no others. */
export function createAuditCall({ db }: Pick<ServiceDeps, "db">) {
  return (worker: WorkerRow, input: In): Promise<WorkerOutput<"audit_entries">> =>
    withHeldJob(db, worker, input, async (tx, job, tenantId) => {
      if (job.type !== "audit_archive") throw new XVaultError("NOT_FOUND");
      const { from_seq, through_seq } = jobParams.audit_archive.parse(job.params);
      const after = Math.max(input.after_seq, from_seq - 1);
      const { lines, nextAfter } = await auditPage(tx, tenantId, after, through_seq);
      return { lines, next_after: nextAfter };
    });
}
