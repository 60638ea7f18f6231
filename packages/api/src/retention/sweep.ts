import {
  and,
  asc,
  eq,
  gt,
  gte,
  inArray,
  jobEvents,
  jobs,
  lt,
  ne,
  notExists,
  or,
  packages,
  proofs,
  snapshots,
  sql,
  type TenantTx,
  webhookDeliveries,
  webhooks,
} from "@xvault/db";
import type { TenantId } from "@xvault/kernel";
import type { ServiceDeps } from "../deps.ts";
import { DAY } from "./ages.ts";
import { turnOfAuditLog } from "./audit-archive.ts";
import { daysOf, readSettings } from "./settings.ts";

/** Rows that one step takes on. */
const SWEPT_AT_ONCE = 5000;
const ENDED = ["success", "warning", "failed", "cancelled"] as const;

/** How far the jobs of a workspace were gone through. */
export interface SweepPosition {
  at: Date;
  id: string;
}

/** Jobs that ended and are older than a time, from a position on, the oldest first. By index, however many there are. */
export function endedJobs(tx: TenantTx, tenantId: TenantId, before: Date, after: SweepPosition | null) {
  const onwards = after && or(gt(jobs.createdAt, after.at), and(eq(jobs.createdAt, after.at), gt(jobs.id, after.id)));
  return tx
    .select({ id: jobs.id, at: jobs.createdAt })
    .from(jobs)
    .where(
      and(
        eq(jobs.tenantId, tenantId),
        lt(jobs.createdAt, before),
        // Said twice, so that the index is entered at the position.
        after ? gte(jobs.createdAt, after.at) : undefined,
        onwards ?? undefined,
        inArray(jobs.state, [...ENDED]),
      ),
    )
    .orderBy(asc(jobs.createdAt), asc(jobs.id))
    .limit(SWEPT_AT_ONCE);
}

/** Of some jobs those that nothing refers to: neither a snapshot, also one that was removed, nor a package, nor a proof. */
export function forgettable(tx: TenantTx, tenantId: TenantId, ids: string[]) {
  const of = (table: typeof snapshots | typeof packages | typeof proofs) =>
    tx
      .select({ one: sql`1` })
      .from(table)
      .where(and(eq(table.tenantId, tenantId), eq(table.jobId, jobs.id)));
  return tx
    .select({ id: jobs.id })
    .from(jobs)
    .where(
      and(
        eq(jobs.tenantId, tenantId),
        inArray(jobs.id, ids),
        notExists(of(snapshots)),
        notExists(of(packages)),
        notExists(of(proofs)),
      ),
    );
}

/**
 * Forgets operational rows of a workspace that are older than its days: jobs with what is written about them; of jobs that something refers to only
 * what is written about them. One step. @returns where the next one begins; null once all were gone through
 */
async function sweepJobs(
  deps: Pick<ServiceDeps, "db">,
  tenantId: TenantId,
  before: Date,
  after: SweepPosition | null,
): Promise<SweepPosition | null> {
  const { db } = deps;
  const { batch, gone } = await db.withTenant(tenantId, async (tx) => {
    const found = await endedJobs(tx, tenantId, before, after);
    const ids = found.map(({ id }) => id);
    return { batch: found, gone: ids.length === 0 ? [] : await forgettable(tx, tenantId, ids) };
  });
  const last = batch.at(-1);
  if (!last) return null;
  const ids = batch.map(({ id }) => id);
  await db.withSystem(async (tx) => {
    await tx.delete(jobEvents).where(and(eq(jobEvents.tenantId, tenantId), inArray(jobEvents.jobId, ids)));
    const mine = inArray(
      jobs.id,
      gone.map(({ id }) => id),
    );
    if (gone.length > 0) await tx.delete(jobs).where(and(eq(jobs.tenantId, tenantId), mine));
  });
  return batch.length < SWEPT_AT_ONCE ? null : { at: last.at, id: last.id };
}

/** Forgets what was sent to webhooks and is over, in steps. */
async function sweepDeliveries({ db }: Pick<ServiceDeps, "db">, tenantId: TenantId, before: Date): Promise<void> {
  const hooks = await db.withTenant(tenantId, (tx) => tx.select({ id: webhooks.id }).from(webhooks));
  for (const { id } of hooks) {
    let deleted: number;
    do {
      deleted = await db.withSystem(async (tx) => {
        const old = await tx
          .select({ id: webhookDeliveries.id })
          .from(webhookDeliveries)
          .where(
            and(
              eq(webhookDeliveries.tenantId, tenantId),
              eq(webhookDeliveries.webhookId, id),
              lt(webhookDeliveries.createdAt, before),
              ne(webhookDeliveries.state, "pending"),
            ),
          )
          .orderBy(asc(webhookDeliveries.createdAt))
          .limit(SWEPT_AT_ONCE);
        const ids = old.map((row) => row.id);
        if (ids.length > 0) await tx.delete(webhookDeliveries).where(inArray(webhookDeliveries.id, ids));
        return ids.length;
      });
    } while (deleted === SWEPT_AT_ONCE);
  }
}

export interface Sweeper {
  /** One step for a workspace. @returns whether there is more to do at once */
  step(tenantId: TenantId): Promise<boolean>;
}

/** How long a workspace's rows are left alone once all were gone through and its days stay what they are, in milliseconds. */
const REST = 60 * 60_000;

/** Forgets what is older than a workspace wants to keep of itself, a little at a time. */
export function createSweeper(deps: Pick<ServiceDeps, "db" | "clock" | "queue" | "feed" | "log">): Sweeper {
  const positions = new Map<TenantId, SweepPosition | null>();
  const rested = new Map<TenantId, { since: number; days: string }>();
  return {
    async step(tenantId) {
      const settings = await deps.db.withTenant(tenantId, (tx) => readSettings(tx, tenantId));
      const { audit_days, operational_days } = daysOf(settings);
      const days = `${audit_days} ${operational_days}`;
      const rest = rested.get(tenantId);
      if (rest?.days === days && performance.now() - rest.since < REST) return false;
      const now = deps.clock.now().getTime();
      const ago = (days: number) => new Date(now - days * DAY);
      const next =
        operational_days === null
          ? null
          : await sweepJobs(deps, tenantId, ago(operational_days), positions.get(tenantId) ?? null);
      positions.set(tenantId, next);
      if (next) return true;
      if (operational_days !== null) await sweepDeliveries(deps, tenantId, ago(operational_days));
      // An archive that is being made is looked after in the next turn.
      const archiving = audit_days !== null && (await turnOfAuditLog(deps, tenantId, audit_days));
      if (archiving) rested.delete(tenantId);
      else rested.set(tenantId, { since: performance.now(), days });
      return false;
    },
  };
}
