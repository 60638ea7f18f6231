import { asc, isNull, type TenantTx, tenants } from "@xvault/db";
import { isXVaultError, type TenantId } from "@xvault/kernel";
import type { ServiceDeps } from "../deps.ts";
import { announceJob } from "../jobs/announce.ts";
import { raiseAlert, resolveAlert } from "../notices/alerts.ts";
import { plannedStorages, sourcesAfter } from "./load.ts";
import { moveReported } from "./move-reported.ts";
import { readRules } from "./settings.ts";
import { checkClocks } from "./state.ts";
import { createSweeper } from "./sweep.ts";
import { turnOfSource } from "./turn.ts";

/** Sources that are gone through in one turn of a workspace, and jobs that it may queue. What is left comes in the next one. */
const SOURCES_A_TURN = 500;
const JOBS_A_TURN = 100;

export interface TierLifecycle {
  /** Goes through every workspace's rules now. */
  turn(): Promise<void>;
  start(): void;
  /** Resolves when the turn that runs has ended. */
  stop(): Promise<void>;
}

/**
 * Does what the rules of retention want: queues moves, copies and removals, lets what is only reported age, and raises an alert instead where something
 * looks wrong. Several hubs may run it at once: each source is locked while it is looked at.
 */
export function createTierLifecycle(deps: ServiceDeps, options: { everyMs: number }): TierLifecycle {
  const { db, clock, log } = deps;
  /** By a clock that is never set. */
  let lastTurn: number | null = null;
  /** Where the next turn of a workspace begins. */
  const cursors = new Map<TenantId, string>();
  const sweeper = createSweeper(deps);
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> = Promise.resolve();
  let busy = false;

  async function rests(tx: TenantTx, tenantId: TenantId, steadyMs: number | null): Promise<boolean> {
    const { before, rest } = await checkClocks(tx, tenantId, clock.now(), steadyMs);
    const about = { tenantId, kind: "clock_jumped", subject: { kind: "workspace", id: tenantId } };
    if (rest) {
      const fix =
        "Set the clocks right. If they are, say so on the page Retention; else all goes on a day later by itself.";
      await raiseAlert(tx, deps, {
        ...about,
        severity: "warning",
        message: `Nothing is moved or expired: ${rest.reason}`,
        fix,
      });
    } else if (before) {
      await resolveAlert(tx, deps, about, "The clocks have run evenly for a day.");
    }
    return rest !== null;
  }

  /** Does a part of a turn: where it fails that is logged, and the turn goes on. @throws UNAVAILABLE where the database is away */
  async function apart(failed: string, about: Record<string, string>, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (isXVaultError(error, "UNAVAILABLE")) throw error;
      log.error({ err: error, ...about }, failed);
    }
  }

  async function turnOfWorkspace(tenantId: TenantId, steadyMs: number | null): Promise<void> {
    const ground = await db.withTenant(tenantId, async (tx) => {
      if (await rests(tx, tenantId, steadyMs)) return null;
      const rules = await readRules(tx, tenantId);
      await moveReported(tx, tenantId, rules, clock.now());
      const storages = await plannedStorages(tx, tenantId);
      const sourceIds = await sourcesAfter(tx, tenantId, cursors.get(tenantId) ?? null, SOURCES_A_TURN);
      return { rules, storages, sourceIds };
    });
    if (!ground) return;
    await apart("rows that are too old could not be forgotten; the next turn tries again", { tenantId }, async () => {
      await sweeper.step(tenantId);
    });
    let left = JOBS_A_TURN;
    for (const sourceId of ground.sourceIds) {
      // One source's rules that cannot be gone through keep no other source's from it.
      await apart("the rules of a source could not be gone through", { tenantId, sourceId }, async () => {
        const { rules, storages } = ground;
        const queued = await db.withTenant(tenantId, (tx) =>
          turnOfSource(tx, deps, { tenantId, sourceId, rules, storages, jobs: left }),
        );
        left -= queued.length;
        for (const job of queued) await announceJob(deps, job);
      });
      cursors.set(tenantId, sourceId);
      if (left <= 0) return;
    }
    if (ground.sourceIds.length < SOURCES_A_TURN) cursors.delete(tenantId);
  }

  const lifecycle: TierLifecycle = {
    async turn() {
      const began = performance.now();
      const steadyMs = lastTurn === null ? null : began - lastTurn;
      lastTurn = began;
      const all = await db.withSystem((tx) =>
        tx.select({ id: tenants.id }).from(tenants).where(isNull(tenants.shreddedAt)).orderBy(asc(tenants.id)),
      );
      for (const { id } of all) {
        try {
          await turnOfWorkspace(id as TenantId, steadyMs);
        } catch (error) {
          log.error(
            { err: error, tenantId: id },
            "the rules of a workspace could not be gone through; the next turn tries again",
          );
        }
      }
    },
    start() {
      timer = setInterval(() => {
        // A turn that takes long is not followed by those that it missed.
        if (busy) return;
        busy = true;
        running = lifecycle
          .turn()
          .catch((error: unknown) => log.error({ err: error }, "the workspaces could not be gone through"))
          .finally(() => {
            busy = false;
          });
      }, options.everyMs);
    },
    async stop() {
      clearInterval(timer);
      await running;
    },
  };
  return lifecycle;
}
