import { errorReportSchema } from "@xvault/contracts";
import type { JobRow, TenantTx } from "@xvault/db";
import type { TenantId } from "@xvault/kernel";
import type { ServiceDeps } from "../deps.ts";
import { type NewAlert, raiseAlert, resolveAlert } from "./alerts.ts";

const KIND = "audit_archive_failed";

/** The alert that entries of the audit log cannot be archived. `why`: a sentence. */
export function archiveAlert(tenantId: TenantId, why: string, jobId: string | null, fix?: string): NewAlert {
  return {
    tenantId,
    kind: KIND,
    severity: "warning",
    subject: { kind: "workspace", id: tenantId },
    message: `Old entries of the audit log could not be archived, so that they stay in the database. ${why}`,
    fix: fix ?? "See whether a worker is online, and what 'Verify chain' says on the page Audit log.",
    data: jobId === null ? {} : { job_id: jobId },
  };
}

/** Opens that alert where a job that archives failed, and resolves it where one did not. */
export async function tellArchiveEnded(tx: TenantTx, deps: Pick<ServiceDeps, "clock">, job: JobRow): Promise<void> {
  const tenantId = job.tenantId as TenantId;
  if (job.state === "failed") {
    const { data: error } = errorReportSchema.safeParse(job.error);
    await raiseAlert(tx, deps, archiveAlert(tenantId, error?.message ?? "Nobody knows why.", job.id, error?.fix));
  } else if (job.state === "success" || job.state === "warning") {
    const about = { tenantId, kind: KIND, subject: { kind: "workspace", id: tenantId } };
    await resolveAlert(tx, deps, about, "The entries were archived.");
  }
}
