import { and, asc, eq, inArray, jobs, type JobRow, lte } from "@xvault/db";
import type { TenantId } from "@xvault/kernel";
import type { ServiceDeps } from "../deps.ts";
import { announceJob } from "./announce.ts";
import { EDGE_TYPE, SERIALIZED_TYPES } from "./states.ts";

/** After a job made way: announces it again if it waits for another attempt, and the next job of its source, which was held back. */
export async function announceNext(deps: ServiceDeps, done: JobRow): Promise<void> {
  if (done.state === "queued" && done.type !== EDGE_TYPE) await announceJob(deps, done);
  const { sourceId } = done;
  if (sourceId === null) return;
  const tenantId = done.tenantId as TenantId;
  const [next] = await deps.db.withTenant(tenantId, (tx) =>
    tx
      .select()
      .from(jobs)
      .where(
        and(
          eq(jobs.tenantId, tenantId),
          eq(jobs.sourceId, sourceId),
          eq(jobs.state, "queued"),
          inArray(jobs.type, [...SERIALIZED_TYPES]),
          lte(jobs.runAfter, deps.clock.now()),
        ),
      )
      .orderBy(asc(jobs.createdAt))
      .limit(1),
  );
  if (next && next.id !== done.id) await announceJob(deps, next);
}
