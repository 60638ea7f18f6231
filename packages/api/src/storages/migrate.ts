import type { migrateStorageInput } from "@xvault/contracts";
import {
  alias,
  and,
  asc,
  copies,
  eq,
  exists,
  inArray,
  isNull,
  jobs,
  ne,
  not,
  or,
  snapshots,
  type SQL,
  sql,
  type TenantTx,
  workers,
} from "@xvault/db";
import { isXVaultError, XVaultError } from "@xvault/kernel";
import type { z } from "zod";
import { auditCall } from "../audit.ts";
import type { Caller } from "../context.ts";
import type { ServiceDeps } from "../deps.ts";
import { announceJob } from "../jobs/announce.ts";
import { isNeededOn } from "./needed.ts";
import { findStorage, findTarget } from "./placement.ts";
import { queueTransfer } from "./queue.ts";

/** So many snapshots are queued by one call; calling again goes on. */
const MAX_JOBS = 500;

/**
 * Queues the move of every snapshot that lies on one storage to another: oldest first, since later ones need earlier ones. Each is copied and
 * read back before the copy that it came from goes, so there is none at no time; and that goes only when nothing beside it uses its data any more.
 *
 * @throws NOT_FOUND, STORAGE_KEY_MISSING; OBJECT_LOCKED where all that is left is locked, NO_WORKER where it lies with revoked workers;
 * INPUT_INVALID where both are one
 */
export async function migrate(
  deps: ServiceDeps,
  caller: Caller,
  input: z.output<typeof migrateStorageInput>,
): Promise<{ jobs: number }> {
  const tenantId = caller.actor.workspace.id;
  if (input.id === input.to) throw new XVaultError("INPUT_INVALID", "Both storages are the same.");
  const queued = await deps.db.withTenant(tenantId, async (tx) => {
    const { storage: from } = await findStorage(tx, tenantId, input.id);
    const { storage: to } = await findTarget(tx, tenantId, input.to);
    const rows = await leftToMove(tx, { tenantId, from: from.id, to: to.id, keep: input.keep });
    const trigger = caller.actor.kind === "token" ? ("api" as const) : ("manual" as const);
    const by = {
      trigger,
      requestedBy: caller.actor.userId,
      now: deps.clock.now(),
      reason: `Migration to '${to.name}'.`,
    };
    const made = [];
    let locked: XVaultError | null = null;
    for (const { snapshot, copy } of rows) {
      try {
        const moved = input.keep ? {} : { moveFrom: copy, neededThere: await isNeededOn(tx, snapshot, from.id) };
        made.push(await queueTransfer(tx, snapshot, to, { ...by, ...moved }));
      } catch (error) {
        // What is locked where it lies can be moved later; what cannot be read is told of elsewhere, and keeps nothing else from moving.
        if (!isXVaultError(error, "CONFLICT", "OBJECT_LOCKED", "ARTIFACT_MISSING", "NO_WORKER")) throw error;
        if (error.code === "OBJECT_LOCKED") locked ??= error;
      }
    }
    if (made.length === 0 && locked) throw locked;
    if (made.length === 0 && (await liesWithRevoked(tx, tenantId, from.id))) {
      throw new XVaultError("NO_WORKER", "What lies there still is on disks of workers that were revoked.", {
        fix: "Bring their storage to another worker, or read the stored files offline with 'xvault recover' and a recovery kit.",
        retry: false,
      });
    }
    const about = { to: to.id, jobs: made.length, keep: input.keep };
    await auditCall(tx, caller, "storage.migrated", { kind: "storage", id: from.id }, about);
    return made;
  });
  for (const job of queued) await announceJob(deps, job);
  return { jobs: queued.length };
}

/**
 * Copies that a call has something to do for, the oldest first: not those that lie with revoked workers, are on their way already, or have
 * arrived and may not go yet. Without this the first ones would keep all others from their turn.
 */
function leftToMove(tx: TenantTx, about: { tenantId: string; from: string; to: string; keep: boolean }) {
  const { tenantId } = about;
  const arrived = alias(copies, "arrived");
  const isThere = exists(
    tx
      .select({ one: sql`1` })
      .from(arrived)
      .where(
        and(
          eq(arrived.tenantId, tenantId),
          eq(arrived.snapshotId, copies.snapshotId),
          eq(arrived.storageId, about.to),
          eq(arrived.state, "complete"),
        ),
      ),
  );
  const itsTransfer = (which: SQL | undefined) =>
    exists(
      tx
        .select({ one: sql`1` })
        .from(jobs)
        .where(
          and(
            eq(jobs.tenantId, tenantId),
            eq(jobs.type, "transfer"),
            sql`${jobs.params}->>'copy_id' = ${copies.id}::text`,
            sql`${jobs.params}->>'storage_id' = ${about.to}`,
            which,
          ),
        ),
    );
  const isOnItsWay = itsTransfer(inArray(jobs.state, ["queued", "running"]));
  const mayNotGoYet = itsTransfer(and(eq(jobs.state, "success"), sql`${jobs.params} @> '{"kept": true}'::jsonb`));
  return (
    tx
      .select({ snapshot: snapshots, copy: copies })
      .from(copies)
      .innerJoin(snapshots, and(eq(snapshots.tenantId, copies.tenantId), eq(snapshots.id, copies.snapshotId)))
      .leftJoin(workers, eq(workers.id, copies.workerId))
      .where(
        and(
          eq(copies.tenantId, tenantId),
          eq(copies.storageId, about.from),
          eq(copies.state, "complete"),
          eq(snapshots.state, "complete"),
          or(isNull(workers.state), ne(workers.state, "revoked")),
          not(isOnItsWay),
          about.keep ? not(isThere) : or(not(isThere), not(mayNotGoYet)),
        ),
      )
      // What is locked comes last: it says why nothing moves only where nothing else does.
      .orderBy(sql`${copies.lockedUntil} is not null and ${copies.lockedUntil} > now()`, asc(snapshots.createdAt))
      .limit(MAX_JOBS)
  );
}

async function liesWithRevoked(tx: TenantTx, tenantId: string, storageId: string): Promise<boolean> {
  const [one] = await tx
    .select({ id: copies.id })
    .from(copies)
    .innerJoin(workers, and(eq(workers.id, copies.workerId), eq(workers.state, "revoked")))
    .where(and(eq(copies.tenantId, tenantId), eq(copies.storageId, storageId), eq(copies.state, "complete")))
    .limit(1);
  return one !== undefined;
}
