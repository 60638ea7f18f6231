import type { createRestoreInput, quoteRestoreInput, RestoreQuote } from "@xvault/contracts";
import { and, desc, eq, inArray, jobs, type JobRow, snapshots, sources, type TenantTx } from "@xvault/db";
import { type TenantId, XVaultError } from "@xvault/kernel";
import type { z } from "zod";
import type { ServiceDeps } from "../deps.ts";
import { keyHolder } from "../snapshots/dto.ts";
import { connectionOf } from "../sources/find.ts";
import { readableCopy } from "../storages/copies.ts";
import { insertJob } from "./enqueue.ts";
import { ask } from "./interactive.ts";

/** What a restore is from and to. @throws NOT_FOUND; KEY_CUSTOMER_HELD where the platform cannot decrypt, NO_WORKER where the files cannot be reached. */
async function endsOf(tx: TenantTx, tenantId: TenantId, input: z.output<typeof quoteRestoreInput>) {
  const [snapshot] = await tx
    .select()
    .from(snapshots)
    .where(and(eq(snapshots.tenantId, tenantId), eq(snapshots.id, input.snapshot_id), eq(snapshots.state, "complete")));
  if (!snapshot) throw new XVaultError("NOT_FOUND", "There is no such snapshot.");
  if ((await keyHolder(tx, tenantId, snapshot.keyFingerprints)) === "customer")
    throw new XVaultError("KEY_CUSTOMER_HELD");
  const { copy } = await readableCopy(tx, tenantId, snapshot.id);
  const [target] = await tx
    .select()
    .from(sources)
    .where(and(eq(sources.tenantId, tenantId), eq(sources.id, input.target.source_id)));
  if (!target || target.deletedAt) throw new XVaultError("NOT_FOUND", "There is no such source to restore to.");
  return { snapshot, target, holderId: copy.workerId };
}

/** Queues a restore to a path on a source, at the worker that holds the snapshot. @throws as `endsOf` */
export async function insertRestore(
  deps: Pick<ServiceDeps, "clock">,
  tx: TenantTx,
  tenantId: TenantId,
  input: z.output<typeof createRestoreInput>,
  by: { trigger: JobRow["trigger"]; requestedBy: string },
): Promise<JobRow> {
  const { snapshot, target, holderId } = await endsOf(tx, tenantId, input);
  return insertJob(tx, {
    tenantId,
    type: "restore",
    trigger: by.trigger,
    params: {
      connection: connectionOf(target),
      paths: input.paths,
      path: input.target.path,
      overwrite: input.overwrite,
      verify: input.verify,
    },
    sourceId: target.id,
    snapshotId: snapshot.id,
    targetWorkerId: holderId,
    requestedBy: by.requestedBy,
    now: deps.clock.now(),
  });
}

/** So many of the last restores to a server tell how fast they are. */
const RECENT = 10;

/**
 * Asks the worker that holds the snapshot what a restore would do. It is a question that somebody waits for (as browsing a server is), not a
 * job in the list: it changes nothing, it need not wait for a backup of the target to end, and nobody wants to find it in the history.
 */
export async function quoteRestore(
  deps: ServiceDeps,
  tenantId: TenantId,
  input: z.output<typeof quoteRestoreInput>,
  requestedBy: string,
): Promise<RestoreQuote> {
  const { snapshot, target, holderId, rate } = await deps.db.withTenant(tenantId, async (tx) => {
    const ends = await endsOf(tx, tenantId, input);
    return { ...ends, rate: await measuredRate(tx, tenantId, ends.target.id) };
  });
  const { quote } = await ask(deps, {
    tenantId,
    type: "quote",
    params: {
      connection: connectionOf(target),
      paths: input.paths,
      path: input.target.path,
      overwrite: input.overwrite,
    },
    sourceId: target.id,
    snapshotId: snapshot.id,
    targetWorkerId: holderId,
    requestedBy,
  });
  return { ...quote, seconds: rate === null ? null : Math.ceil(quote.write_bytes / rate) };
}

/** Bytes that restores to this source have written in a second, from beginning to end; null before the first one. */
async function measuredRate(tx: TenantTx, tenantId: TenantId, sourceId: string): Promise<number | null> {
  const rows = await tx
    .select({ result: jobs.result, startedAt: jobs.startedAt, finishedAt: jobs.finishedAt })
    .from(jobs)
    .where(
      and(
        eq(jobs.tenantId, tenantId),
        eq(jobs.sourceId, sourceId),
        eq(jobs.type, "restore"),
        inArray(jobs.state, ["success", "warning"]),
        // What was taken up again took longer than it would.
        eq(jobs.attempt, 1),
      ),
    )
    .orderBy(desc(jobs.createdAt))
    .limit(RECENT);
  let bytes = 0;
  let seconds = 0;
  for (const { result, startedAt, finishedAt } of rows) {
    if (!startedAt || !finishedAt || typeof result?.["bytes"] !== "number") continue;
    bytes += result["bytes"];
    seconds += (finishedAt.getTime() - startedAt.getTime()) / 1000;
  }
  return bytes > 0 && seconds > 0 ? bytes / seconds : null;
}
