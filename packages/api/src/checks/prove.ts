import type { WorkerInput, WorkerOutput } from "@xvault/contracts";
import { manifestSha256, verifyProof } from "@xvault/crypto";
import { and, eq, proofs, type WorkerRow } from "@xvault/db";
import { newId, XVaultError } from "@xvault/kernel";
import type { ServiceDeps } from "../deps.ts";
import { manifestOf } from "../snapshots/dto.ts";
import { snapshotById } from "../storages/queue.ts";
import { withHeldJob } from "../workers/held.ts";

/**
 * Takes the signed statement of a drill from the worker that holds it. It is kept as it came, once it was found to be signed by this very
 * worker and to be about the very snapshot. Saying it again changes nothing.
 */
export function createProveCall({ db, platformKeys, clock }: Pick<ServiceDeps, "db" | "platformKeys" | "clock">) {
  return (worker: WorkerRow, input: WorkerInput<"prove">): Promise<WorkerOutput<"prove">> =>
    withHeldJob(db, worker, input, async (tx, job, tenantId) => {
      const { proof } = input;
      if (job.type !== "drill" || job.snapshotId === null) throw new XVaultError("NOT_FOUND");
      const snapshot = await snapshotById(tx, tenantId, job.snapshotId);
      verifyProof(proof, { rootKeys: platformKeys.rootPublicKeys });
      const isOwn = proof.signer.kind === "worker" && proof.signer.certificate.worker_id === worker.id;
      const isMeant =
        proof.tenant_id === tenantId &&
        proof.source_id === snapshot.sourceId &&
        proof.snapshot_id === snapshot.id &&
        proof.job_id === job.id &&
        proof.manifest_sha256 === manifestSha256(manifestOf(snapshot)) &&
        (proof.outcome === "passed") === (proof.failure === null);
      if (!isOwn || !isMeant) throw new XVaultError("SIGNATURE_INVALID", "The statement is not about this drill.");
      // Another attempt's statement is another one; the same one again is not.
      const given = await tx
        .select()
        .from(proofs)
        .where(and(eq(proofs.tenantId, tenantId), eq(proofs.jobId, job.id)));
      const known = given.find((row) => row.statement["signature"] === proof.signature);
      if (known) return { proof_id: known.id };
      const id = newId();
      await tx.insert(proofs).values({
        id,
        tenantId,
        sourceId: snapshot.sourceId,
        snapshotId: snapshot.id,
        jobId: job.id,
        passed: proof.outcome === "passed",
        statement: { ...proof },
        createdAt: clock.now(),
      });
      return { proof_id: id };
    });
}
