import { errorReportSchema, type JobResult, jobResultSchema } from "@xvault/contracts";
import { and, eq, inArray, jobs, type JobRow, ne, sql, type TenantTx, workers } from "@xvault/db";
import { type TenantId, XVaultError } from "@xvault/kernel";
import type { ServiceDeps } from "../deps.ts";
import { announceJob } from "./announce.ts";
import { insertJob } from "./enqueue.ts";
import { nextChange } from "./feed.ts";
import { INTERACTIVE_TYPES, isFinal } from "./states.ts";

/** How long somebody at a screen waits for an answer from a server, in milliseconds. */
const PATIENCE = 60_000;
/** The same for a question that goes through all of a snapshot's index. */
const LONG_PATIENCE = 240_000;
/** How long a worker may take to pick the question up. */
const PICKUP = 15_000;

/** Questions of one workspace that may be open at once: no screen asks more, and a program that does must not take every worker's time. */
const MAX_OPEN = 6;

type Interactive = (typeof INTERACTIVE_TYPES)[number];
type Answer<T extends Interactive> = Extract<JobResult, { type: T }>;

/**
 * Puts a question to a worker (only workers touch customers' servers) and waits for the answer.
 *
 * @throws RATE_LIMITED while too many of the workspace are open, NO_WORKER when none takes it, UNAVAILABLE when it takes too long, CANCELLED,
 * and whatever error the worker reports.
 */
export async function ask<T extends Interactive>(
  deps: ServiceDeps,
  question: {
    tenantId: TenantId;
    type: T;
    params: Record<string, unknown>;
    sourceId: string | null;
    /** For a question about a snapshot, and the worker that has it. */
    snapshotId?: string;
    targetWorkerId?: string | null;
    requestedBy: string;
  },
): Promise<Answer<T>> {
  const { db, clock, feed } = deps;
  const mine = (id: string) => and(eq(jobs.tenantId, question.tenantId), eq(jobs.id, id));
  const inserted = await db.withTenant(question.tenantId, async (tx) => {
    await checkOpen(tx, question.tenantId);
    await checkTaker(tx);
    return insertJob(tx, { ...question, trigger: "manual", now: clock.now() });
  });
  const { id } = inserted;
  const asked = Date.now();
  const patience = question.type === "quote" ? LONG_PATIENCE : PATIENCE;
  await announceJob(deps, inserted);
  let row: JobRow | undefined;
  for (;;) {
    const next = nextChange(feed, id, 1000);
    try {
      row = (await db.withTenant(question.tenantId, (tx) => tx.select().from(jobs).where(mine(id))))[0];
      if (!row) throw new XVaultError("UNAVAILABLE");
      if (isFinal(row.state)) break;
      const waited = Date.now() - asked;
      if (waited > patience || (row.state === "queued" && waited > PICKUP)) {
        const stillQueued = row.state === "queued";
        await db.withTenant(question.tenantId, (tx) =>
          tx
            .update(jobs)
            .set({
              cancelRequestedAt: clock.now(),
              ...(stillQueued ? { state: "cancelled", finishedAt: clock.now() } : {}),
            })
            .where(mine(id)),
        );
        throw stillQueued
          ? new XVaultError("NO_WORKER")
          : new XVaultError("UNAVAILABLE", "The server, or the worker that asks it, took too long to answer.");
      }
      await next.changed;
    } finally {
      next.stop();
    }
  }
  if (row.state === "failed" || row.result === null) {
    throw row.error ? XVaultError.fromReport(errorReportSchema.parse(row.error)) : new XVaultError("UNAVAILABLE");
  }
  const result = jobResultSchema.parse(row.result);
  if (result.type !== question.type) throw new XVaultError("INTERNAL");
  return result as Answer<T>;
}

/** @throws NO_WORKER at once where there is none that could ever take a question: nobody need wait for that */
async function checkTaker(tx: TenantTx): Promise<void> {
  const [any] = await tx.select({ id: workers.id }).from(workers).where(ne(workers.state, "revoked")).limit(1);
  if (!any) throw new XVaultError("NO_WORKER");
}

/** @throws RATE_LIMITED when so many questions of the workspace are open that another would only wait. */
async function checkOpen(tx: TenantTx, tenantId: TenantId): Promise<void> {
  // One after the other, so that many that come at once cannot all find room.
  await tx.execute(sql`select pg_advisory_xact_lock(hashtextextended(${`questions of ${tenantId}`}, 0))`);
  const open = await tx
    .select({ id: jobs.id })
    .from(jobs)
    .where(
      and(
        eq(jobs.tenantId, tenantId),
        inArray(jobs.type, [...INTERACTIVE_TYPES]),
        inArray(jobs.state, ["queued", "running"]),
      ),
    )
    .limit(MAX_OPEN);
  if (open.length < MAX_OPEN) return;
  throw new XVaultError("RATE_LIMITED", `${MAX_OPEN} questions to servers are open already.`, {
    data: { retry_after_seconds: 5 },
  });
}
