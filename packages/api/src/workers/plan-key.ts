import type { workerProtocol, WorkerOutput } from "@xvault/contracts";
import { and, eq, sources, type WorkerRow } from "@xvault/db";
import { randomBytes, XVaultError } from "@xvault/kernel";
import type { z } from "zod";
import type { ServiceDeps } from "../deps.ts";
import { withHeldJob } from "./held.ts";

/**
 * The call by which a worker that backs a source up gets the key of its plan states. Made with the first backup and kept: under
 * another key the states on the storage could not be read, and the next run would be a full one.
 */
export function createPlanKeyCall(deps: Pick<ServiceDeps, "db" | "vault">) {
  return (
    worker: WorkerRow,
    input: z.output<(typeof workerProtocol)["plan_key"]["input"]>,
  ): Promise<WorkerOutput<"plan_key">> =>
    withHeldJob(deps.db, worker, input, async (tx, job, tenantId) => {
      if (job.type !== "backup" || !job.sourceId) throw new XVaultError("NOT_FOUND");
      const mine = and(eq(sources.tenantId, tenantId), eq(sources.id, job.sourceId));
      const [source] = await tx.select().from(sources).where(mine).for("update");
      if (!source) throw new XVaultError("NOT_FOUND", "The source was removed.");
      const place = { table: "sources", row: source.id, column: "plan_key" };
      if (source.planKey !== null && source.planKeyVersion !== null) {
        const key = await deps.vault.open(tx, tenantId, place, source.planKey, source.planKeyVersion);
        return { key: key.toString("base64") };
      }
      const key = Buffer.from(randomBytes(32));
      const { sealed, keyVersion } = await deps.vault.seal(tx, tenantId, place, key);
      await tx.update(sources).set({ planKey: sealed, planKeyVersion: keyVersion }).where(mine);
      return { key: key.toString("base64") };
    });
}
