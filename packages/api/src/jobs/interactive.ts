import { errorReportSchema, type JobResult, jobResultSchema } from "@xvault/contracts";
import { and, eq, jobs, type JobRow } from "@xvault/db";
import { type TenantId, XVaultError } from "@xvault/kernel";
import type { ServiceDeps } from "../deps.ts";
import { announceJob } from "./announce.ts";
import { insertJob } from "./enqueue.ts";
import { nextChange } from "./feed.ts";
import { isFinal } from "./states.ts";

/** How long somebody at a screen waits for an answer from a server, in milliseconds. */
const PATIENCE = 60_000;
/** How long a worker may take to pick the question up. */
const PICKUP = 15_000;

type Interactive = "preflight" | "browse" | "probe";
type Answer<T extends Interactive> = Extract<JobResult, { type: T }>;

/**
 * Puts a question to a worker (only workers touch customers' servers) and waits for the answer.
 *
 * @throws NO_WORKER when none takes it, HOST_UNREACHABLE when it takes too long, and whatever error the worker reports.
 */
export async function ask<T extends Interactive>(
  deps: ServiceDeps,
  question: {
    tenantId: TenantId;
    type: T;
    params: Record<string, unknown>;
    sourceId: string | null;
    requestedBy: string;
  },
): Promise<Answer<T>> {
  const { db, clock, feed } = deps;
  const mine = (id: string) => and(eq(jobs.tenantId, question.tenantId), eq(jobs.id, id));
  let row: JobRow | undefined = await db.withTenant(question.tenantId, (tx) =>
    insertJob(tx, { ...question, trigger: "manual", now: clock.now() }),
  );
  const { id } = row;
  const asked = Date.now();
  await announceJob(deps, row);
  for (;;) {
    const next = nextChange(feed, id, 1000);
    try {
      row = (await db.withTenant(question.tenantId, (tx) => tx.select().from(jobs).where(mine(id))))[0];
      if (!row) throw new XVaultError("UNAVAILABLE");
      if (isFinal(row.state)) break;
      const waited = Date.now() - asked;
      if (waited > PATIENCE || (row.state === "queued" && waited > PICKUP)) {
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
          : new XVaultError("HOST_UNREACHABLE", "The server took too long to answer.");
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
