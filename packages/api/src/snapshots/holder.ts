import { desc, eq, type TenantTx, type WorkerRow, workers } from "@xvault/db";
import { XVaultError } from "@xvault/kernel";
import { readableCopy } from "../storages/copies.ts";

/** A worker that was silent for longer counts as away, in milliseconds. */
const SEEN_WITHIN = 60_000;

/**
 * The worker that serves a snapshot's bytes to clients: the one whose disk it lies on, else the one of those that reach it which was heard of last.
 *
 * @throws NO_WORKER, ARTIFACT_MISSING
 */
export async function findServer(tx: TenantTx, tenantId: string, snapshotId: string, now: Date): Promise<WorkerRow> {
  const { worker } = await readableCopy(tx, tenantId, snapshotId);
  if (worker) return worker;
  const [any] = await tx
    .select()
    .from(workers)
    .where(eq(workers.state, "active"))
    .orderBy(desc(workers.lastSeenAt))
    .limit(1);
  if (any && now.getTime() - (any.lastSeenAt?.getTime() ?? 0) <= SEEN_WITHIN) return any;
  throw new XVaultError("NO_WORKER");
}
