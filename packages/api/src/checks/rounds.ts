import {
  and,
  asc,
  copies,
  count,
  eq,
  gt,
  inArray,
  isNull,
  jobs,
  lte,
  or,
  snapshots,
  sources,
  type TenantTx,
  workers,
} from "@xvault/db";
import type { TenantId } from "@xvault/kernel";
import type { ServiceDeps } from "../deps.ts";
import { announceJob } from "../jobs/announce.ts";
import { nextDrill } from "./drills.ts";
import { nextCheck } from "./due.ts";
import { verificationPolicy } from "./policy.ts";
import { activeChecks, queueCheck, queueDrill, storageShare } from "./queue.ts";

/** Rows that are looked at in one turn, and checks that one turn queues. */
const LOOKED_AT = 500;
const QUEUED_PER_TURN = 20;
/** Of so many turns of the clockwork one is for checks, and one for drills. */
const CHECKS_EVERY = 2;
const DRILLS_EVERY = 12;
/** Checks and drills that may wait or run in one workspace: what a person starts must not stand behind hundreds of them. */
const WAITING_PER_TENANT = 10;
/** No check follows another sooner, whatever the policy. Milliseconds. */
const LEAST_APART = 0.9 * 24 * 60 * 60_000;

/** The rounds in which copies are checked and restores are tried by themselves: each turn goes on where the one before it ended. */
export interface CheckRounds {
  /** Queues the checks that are due, among the next copies. */
  checks(): Promise<void>;
  /** Queues the drills that are due, among the next sources. */
  drills(): Promise<void>;
  /** A turn of the hub's clockwork, which comes every few seconds: now and then it is their turn. */
  turn(): Promise<void>;
}

export function createCheckRounds(deps: ServiceDeps): CheckRounds {
  const { db, clock } = deps;
  let afterCopy = "";
  let afterSource = "";
  let turns = 0;

  const mayQueue = async (tx: TenantTx, tenantId: TenantId) => {
    const [waiting] = await tx
      .select({ jobs: count() })
      .from(jobs)
      .where(
        and(
          eq(jobs.tenantId, tenantId),
          inArray(jobs.type, ["verify", "drill"]),
          inArray(jobs.state, ["queued", "running"]),
        ),
      );
    return (waiting?.jobs ?? 0) < WAITING_PER_TENANT;
  };

  async function check(tenantId: TenantId, copyId: string): Promise<boolean> {
    const job = await db.withTenant(tenantId, async (tx) => {
      const now = clock.now();
      const [copy] = await tx
        .select()
        .from(copies)
        .where(and(eq(copies.tenantId, tenantId), eq(copies.id, copyId)))
        .for("update", { skipLocked: true });
      if (!copy) return null;
      const policy = await verificationPolicy(tx, tenantId);
      const due = nextCheck(copy, policy, now);
      if (!due || due.at > now || (await activeChecks(tx, copy)).length > 0 || !(await mayQueue(tx, tenantId)))
        return null;
      const [snapshot] = await tx
        .select()
        .from(snapshots)
        .where(
          and(eq(snapshots.tenantId, tenantId), eq(snapshots.id, copy.snapshotId), eq(snapshots.state, "complete")),
        );
      if (!snapshot || (await isLockedOut(tx, copy.workerId))) return null;
      const share = due.depth === "sample" ? await storageShare(tx, copy.storageId, policy) : 1;
      const what = { depth: due.depth, share, lostBelow: policy.lost_below, earlier: false };
      return queueCheck(tx, { snapshot, copy }, what, { trigger: "schedule", requestedBy: null, now });
    });
    if (job) await announceJob(deps, job);
    return job !== null;
  }

  async function drill(tenantId: TenantId, sourceId: string): Promise<void> {
    const job = await db.withTenant(tenantId, async (tx) => {
      const now = clock.now();
      const [source] = await tx
        .select()
        .from(sources)
        .where(and(eq(sources.tenantId, tenantId), eq(sources.id, sourceId), isNull(sources.deletedAt)))
        .for("update", { skipLocked: true });
      if (!source) return null;
      const policy = await verificationPolicy(tx, tenantId);
      const due = await nextDrill(tx, tenantId, sourceId, policy, now);
      if (!due || due.at > now || due.isActive || !(await mayQueue(tx, tenantId))) return null;
      const what = { mode: policy.drill_mode, files: policy.drill_files };
      return queueDrill(tx, due, what, { trigger: "schedule", requestedBy: null, now });
    });
    if (job) await announceJob(deps, job);
  }

  const rounds: CheckRounds = {
    async checks() {
      const before = new Date(clock.now().getTime() - LEAST_APART);
      // A time that is yet to come was written by a clock that was ahead: such copies are looked at, too.
      const ahead = new Date(clock.now().getTime() + LEAST_APART);
      const kept = inArray(copies.state, ["complete", "corrupt", "missing"]);
      const old = or(isNull(copies.checkedAt), lte(copies.checkedAt, before), gt(copies.checkedAt, ahead));
      const rows = await db.withSystem((tx) =>
        tx
          .select({ id: copies.id, tenantId: copies.tenantId })
          .from(copies)
          .where(afterCopy === "" ? and(kept, old) : and(kept, old, gt(copies.id, afterCopy)))
          .orderBy(asc(copies.id))
          .limit(LOOKED_AT),
      );
      let queued = 0;
      for (const row of rows) {
        if (queued === QUEUED_PER_TURN) return;
        afterCopy = row.id;
        if (await check(row.tenantId as TenantId, row.id)) queued += 1;
      }
      if (rows.length < LOOKED_AT) afterCopy = "";
    },

    async drills() {
      const active = and(isNull(sources.deletedAt), eq(sources.state, "active"));
      const rows = await db.withSystem((tx) =>
        tx
          .select({ id: sources.id, tenantId: sources.tenantId })
          .from(sources)
          .where(afterSource === "" ? active : and(active, gt(sources.id, afterSource)))
          .orderBy(asc(sources.id))
          .limit(QUEUED_PER_TURN),
      );
      for (const row of rows) {
        afterSource = row.id;
        await drill(row.tenantId as TenantId, row.id);
      }
      if (rows.length < QUEUED_PER_TURN) afterSource = "";
    },

    async turn() {
      if (turns % CHECKS_EVERY === 0) await rounds.checks();
      if (turns % DRILLS_EVERY === 0) await rounds.drills();
      turns += 1;
    },
  };
  return rounds;
}

async function isLockedOut(tx: TenantTx, workerId: string | null): Promise<boolean> {
  if (workerId === null) return false;
  const [worker] = await tx.select({ state: workers.state }).from(workers).where(eq(workers.id, workerId));
  return worker?.state === "revoked";
}
