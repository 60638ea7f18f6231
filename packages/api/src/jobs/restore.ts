import type { createRestoreInput } from "@xvault/contracts";
import { and, eq, type JobRow, snapshots, sources, type TenantTx } from "@xvault/db";
import { type TenantId, XVaultError } from "@xvault/kernel";
import type { z } from "zod";
import type { ServiceDeps } from "../deps.ts";
import { keyHolder } from "../snapshots/dto.ts";
import { findHolder } from "../snapshots/holder.ts";
import { connectionOf } from "../sources/find.ts";
import { insertJob } from "./enqueue.ts";

/** Queues a restore to a path on a source, at the worker that holds the snapshot. @throws KEY_CUSTOMER_HELD where the platform cannot decrypt, NO_WORKER where the files cannot be reached. */
export async function insertRestore(
  deps: Pick<ServiceDeps, "clock">,
  tx: TenantTx,
  tenantId: TenantId,
  input: z.output<typeof createRestoreInput>,
  by: { trigger: JobRow["trigger"]; requestedBy: string },
): Promise<JobRow> {
  const [snapshot] = await tx
    .select()
    .from(snapshots)
    .where(and(eq(snapshots.tenantId, tenantId), eq(snapshots.id, input.snapshot_id), eq(snapshots.state, "complete")));
  if (!snapshot) throw new XVaultError("NOT_FOUND", "There is no such snapshot.");
  if ((await keyHolder(tx, tenantId, snapshot.keyFingerprints)) === "customer")
    throw new XVaultError("KEY_CUSTOMER_HELD");
  await findHolder(tx, snapshot.workerId);
  const [target] = await tx
    .select()
    .from(sources)
    .where(and(eq(sources.tenantId, tenantId), eq(sources.id, input.target.source_id)));
  if (!target || target.deletedAt) throw new XVaultError("NOT_FOUND", "There is no such source to restore to.");
  return insertJob(tx, {
    tenantId,
    type: "restore",
    trigger: by.trigger,
    params: {
      connection: connectionOf(target),
      paths: input.paths,
      path: input.target.path,
      overwrite: input.overwrite,
    },
    sourceId: target.id,
    snapshotId: snapshot.id,
    targetWorkerId: snapshot.workerId,
    requestedBy: by.requestedBy,
    now: deps.clock.now(),
  });
}
