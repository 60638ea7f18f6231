import { eq, type TenantTx, type WorkerRow, workers } from "@xvault/db";
import { XVaultError } from "@xvault/kernel";

/** The worker that has a snapshot's files. @throws NO_WORKER once it was revoked: then no job and no ticket reaches them */
export async function findHolder(tx: TenantTx, workerId: string): Promise<WorkerRow> {
  const [worker] = await tx.select().from(workers).where(eq(workers.id, workerId));
  if (worker && worker.state !== "revoked") return worker;
  throw new XVaultError("NO_WORKER", "The worker that holds this snapshot was revoked.", {
    fix: "Bring its storage to another worker, or read the stored files offline with 'xvault recover' and a recovery kit.",
    retry: false,
  });
}

/** Ids of the workers whose files cannot be reached any more. */
export async function revokedWorkers(tx: TenantTx): Promise<Set<string>> {
  const rows = await tx.select({ id: workers.id }).from(workers).where(eq(workers.state, "revoked"));
  return new Set(rows.map((row) => row.id));
}
