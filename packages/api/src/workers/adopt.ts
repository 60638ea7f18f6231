import type { Manifest, workerProtocol, WorkerOutput } from "@xvault/contracts";
import { verifyManifest } from "@xvault/crypto";
import { and, desc, eq, jobs, type JobRow, ne, snapshots, type TenantTx, type WorkerRow } from "@xvault/db";
import { isXVaultError, type TenantId } from "@xvault/kernel";
import type { z } from "zod";
import type { ServiceDeps } from "../deps.ts";
import type { createJobCalls } from "./job-calls.ts";
import { publishedOutcome } from "./published.ts";
import type { createSnapshotCalls } from "./snapshot-calls.ts";

type Outcome = WorkerOutput<"adopt">["outcome"];

interface Calls {
  publish: ReturnType<typeof createSnapshotCalls>["publish"];
  complete: ReturnType<typeof createJobCalls>["complete"];
}

/**
 * The call by which a worker that has just started hands in a whole, signed snapshot that it finds on its disk, or has a receipt of, and that nobody knows: its
 * attempt died after the snapshot was stored, and before the hub heard of it. While the attempt still has its reservation and nothing took
 * its place in the source's chain, the snapshot is published and the job is done; else the answer says whose it is, so that the worker knows
 * whether to remove it.
 *
 * Publishing and completing are the ordinary calls, under their fencing: whatever changes between the look and the deed is refused there.
 */
export function createAdoptCall(deps: ServiceDeps, calls: Calls) {
  const { db, platformKeys, clock } = deps;

  return async (
    worker: WorkerRow,
    input: z.output<(typeof workerProtocol)["adopt"]["input"]>,
  ): Promise<WorkerOutput<"adopt">> => {
    const { manifest } = input;
    verifyManifest(manifest, platformKeys.rootPublicKeys);
    const tenantId = manifest.tenant_id as TenantId;
    const held = { job_id: manifest.job_id, attempt: manifest.attempt };
    const found = await db.withTenant(tenantId, (tx) => standing(tx, worker, manifest));
    if (found === "cancelled") {
      return refusedAs("waiting", async () => {
        await calls.complete(worker, { ...held, state: "cancelled", result: null, error: null, events: [] });
        return "abandoned";
      });
    }
    if (found !== "reserved") return { outcome: found };
    return refusedAs("waiting", async () => {
      await calls.publish(worker, { ...held, manifest, stored: input.stored });
      const message = "The worker had died when all was stored; the snapshot was found whole when it came back.";
      const outcome = await db.withTenant(tenantId, async (tx) => {
        const job = await jobOf(tx, manifest);
        return job ? publishedOutcome(tx, job, clock.now()) : null;
      });
      await calls.complete(worker, {
        ...held,
        state: manifest.partial ? "warning" : "success",
        result: outcome?.result ?? null,
        error: null,
        events: [{ at: clock.now().toISOString(), step: "publish", level: "info", message }],
      });
      return "published";
    });
  };
}

async function jobOf(tx: TenantTx, manifest: Manifest): Promise<JobRow | undefined> {
  const [job] = await tx
    .select()
    .from(jobs)
    .where(and(eq(jobs.tenantId, manifest.tenant_id), eq(jobs.id, manifest.job_id)));
  return job;
}

/** How a snapshot that lies whole on a worker's storage stands with the hub. */
async function standing(
  tx: TenantTx,
  worker: WorkerRow,
  manifest: Manifest,
): Promise<Outcome | "reserved" | "cancelled"> {
  const { tenant_id: tenantId, source_id: sourceId } = manifest;
  const [row] = await tx
    .select()
    .from(snapshots)
    .where(and(eq(snapshots.tenantId, tenantId), eq(snapshots.id, manifest.snapshot_id)));
  if (row && row.state !== "pending") return "published";
  const job = await jobOf(tx, manifest);
  // A hub whose database is older than the snapshot cannot say that it is nobody's.
  if (job?.sourceId !== sourceId || job.attempt < manifest.attempt) return "unknown";
  if (!row || job.attempt > manifest.attempt) return "abandoned";
  if (row.workerId !== worker.id || job.workerId !== worker.id) return "waiting";
  if (job.cancelRequestedAt !== null) return "cancelled";
  const [newest] = await tx
    .select({ id: snapshots.id, sequence: snapshots.sequence })
    .from(snapshots)
    .where(and(eq(snapshots.tenantId, tenantId), eq(snapshots.sourceId, sourceId), ne(snapshots.state, "pending")))
    .orderBy(desc(snapshots.sequence))
    .limit(1);
  const next = newest?.id === manifest.previous?.snapshot_id && (newest?.sequence ?? 0) + 1 === manifest.sequence;
  return next ? "reserved" : "abandoned";
}

/** What somebody else's lease, or another job of the source at work, keeps from being done now may be done at the worker's next start. */
async function refusedAs(otherwise: Outcome, work: () => Promise<Outcome>): Promise<{ outcome: Outcome }> {
  try {
    return { outcome: await work() };
  } catch (error) {
    if (!isXVaultError(error, "LEASE_LOST")) throw error;
    return { outcome: otherwise };
  }
}
