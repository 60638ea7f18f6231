import { jobProgressSchema, type UploadTicket, type uploadPackageInput } from "@xvault/contracts";
import {
  and,
  eq,
  gt,
  jobs,
  type JobRow,
  packages,
  type PackageRow,
  sources,
  sql,
  type TenantTx,
  type WorkerRow,
  workers,
} from "@xvault/db";
import { XVaultError } from "@xvault/kernel";
import { createHash } from "node:crypto";
import type { z } from "zod";
import { auditCall } from "../audit.ts";
import type { Caller } from "../context.ts";
import type { ServiceDeps } from "../deps.ts";
import { EDGE_TYPE, isFinal } from "../jobs/states.ts";
import { issueUploadTicket } from "./upload-ticket.ts";

/** A worker that was silent for longer counts as away, in milliseconds. */
const SEEN_WITHIN = 60_000;

const OF_NOTHING = createHash("sha256").digest("hex");

type Input = z.output<typeof uploadPackageInput>;

/** What `POST /packages/{id}/upload` does; see the service. Asking again, as after a ticket has expired, is harmless. */
export async function prepareUpload(
  deps: Pick<ServiceDeps, "db" | "clock" | "platformKeys">,
  caller: Caller,
  input: Input,
): Promise<UploadTicket> {
  const tenantId = caller.actor.workspace.id;
  const { worker, facts, offset } = await deps.db.withTenant(tenantId, async (tx) => {
    const [found] = await tx
      .select({ job: jobs, row: packages, source: sources })
      .from(jobs)
      .innerJoin(packages, and(eq(packages.tenantId, jobs.tenantId), eq(packages.jobId, jobs.id)))
      .innerJoin(sources, and(eq(sources.tenantId, packages.tenantId), eq(sources.id, packages.sourceId)))
      .where(and(eq(jobs.tenantId, tenantId), eq(jobs.id, input.id), eq(jobs.type, EDGE_TYPE)))
      .for("update", { of: jobs });
    if (!found) throw new XVaultError("NOT_FOUND", "There is no such package.");
    const { job, row, source } = found;
    if (isFinal(job.state)) {
      throw new XVaultError("CONFLICT", "The package has ended and stays as it ended.", { fix: "Ingest it anew." });
    }
    if (source.state === "paused") {
      throw new XVaultError("SOURCE_PAUSED", undefined, { data: { reason: source.pausedReason } });
    }
    const known = factsOf(row, input);
    await tx
      .update(packages)
      .set({ ...known, updatedAt: deps.clock.now() })
      .where(and(eq(packages.tenantId, tenantId), eq(packages.id, row.id)));
    const taker = await takerOf(tx, job, deps.clock.now());
    await auditCall(
      tx,
      caller,
      "package.upload_requested",
      { kind: "package", id: row.id },
      { worker_id: taker.worker.id },
    );
    return { ...taker, facts: known };
  });
  const { ticket, expires_at } = await issueUploadTicket(deps, caller, input.id, worker.id);
  const upload_url = `${worker.dataUrl.replace(/\/+$/, "")}/v1/upload`;
  return { upload_url, ticket, expires_at, size_bytes: facts.sizeBytes, offset };
}

/** Size and checksum, by which it is known whether all has come. @throws CHECKSUM_MISMATCH against what was announced, INPUT_INVALID */
function factsOf(row: PackageRow, input: Input): { sizeBytes: number; checksum: string } {
  const sizeBytes = row.sizeBytes ?? input.size_bytes;
  if (input.size_bytes !== undefined && input.size_bytes !== sizeBytes) {
    throw new XVaultError("INPUT_INVALID", "This is not the size that the package was announced with.");
  }
  const checksum = row.checksum ?? input.checksum ?? (sizeBytes === 0 ? OF_NOTHING : undefined);
  if (input.checksum !== undefined && input.checksum !== checksum) {
    throw new XVaultError("CHECKSUM_MISMATCH", "This is not the checksum that the package was announced with.");
  }
  if (sizeBytes === undefined || checksum === undefined) {
    throw new XVaultError("INPUT_INVALID", "The package was announced without its size or checksum.", {
      fix: "Give size_bytes and checksum.",
    });
  }
  return { sizeBytes, checksum };
}

/** The worker that takes the bytes: the one that has begun to, else any that is there. @throws NO_WORKER */
async function takerOf(tx: TenantTx, job: JobRow, now: Date): Promise<{ worker: WorkerRow; offset: number }> {
  const begun = job.leaseExpiresAt !== null && job.workerId !== null;
  const [worker] = await tx
    .select()
    .from(workers)
    .where(
      begun
        ? eq(workers.id, job.workerId ?? "")
        : and(eq(workers.state, "active"), gt(workers.lastSeenAt, new Date(now.getTime() - SEEN_WITHIN))),
    )
    .orderBy(sql`random()`)
    .limit(1);
  if (!worker || worker.state === "revoked") throw new XVaultError("NO_WORKER");
  const progress = jobProgressSchema.nullable().catch(null).parse(job.progress);
  return { worker, offset: begun ? (progress?.bytes_done ?? 0) : 0 };
}
