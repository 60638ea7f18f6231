import { timeSchema } from "@xvault/contracts";
import { desc, eq, jobs, sql, type TenantTx } from "@xvault/db";
import type { TenantId } from "@xvault/kernel";
import { z } from "zod";
import { judgeClocks, type Rest } from "./clocks.ts";
import { settingsUnder, writeUnder } from "./settings.ts";

const KEY = "lifecycle";

const stateSchema = z.object({
  last_turn_at: timeSchema.nullable().default(null),
  rest: z.object({ since: timeSchema, until: timeSchema, reason: z.string() }).nullable().default(null),
});

/** Whether the rules of a workspace rest, and since when. */
export async function readRest(tx: TenantTx, tenantId: TenantId): Promise<Rest | null> {
  const { rest } = stateSchema.parse((await settingsUnder(tx, tenantId, KEY)) ?? {});
  return rest && { since: new Date(rest.since), until: new Date(rest.until), reason: rest.reason };
}

/** Looks at the clocks for a turn and writes down what they say. `steadyMs`: since this process's last turn; null for its first. */
export async function checkClocks(
  tx: TenantTx,
  tenantId: TenantId,
  now: Date,
  steadyMs: number | null,
): Promise<{ before: Rest | null; rest: Rest | null }> {
  const state = stateSchema.parse((await settingsUnder(tx, tenantId, KEY)) ?? {});
  const before = await readRest(tx, tenantId);
  const [clock] = await tx.execute<{ at: string }>(
    sql`select to_char(now() at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as at`,
  );
  const [newest] = await tx
    .select({ at: jobs.createdAt })
    .from(jobs)
    .where(eq(jobs.tenantId, tenantId))
    .orderBy(desc(jobs.createdAt), desc(jobs.id))
    .limit(1);
  const last = state.last_turn_at === null ? null : { at: new Date(state.last_turn_at), steadyMs };
  const rest = judgeClocks(
    { now, database: new Date(clock?.at ?? Number.NaN), newest: newest?.at ?? null, last },
    before,
  );
  await write(tx, tenantId, rest, now);
  return { before, rest };
}

/** Somebody says that the clocks are right: the rules go on. */
export function endRest(tx: TenantTx, tenantId: TenantId, now: Date): Promise<void> {
  return write(tx, tenantId, null, now);
}

function write(tx: TenantTx, tenantId: TenantId, rest: Rest | null, now: Date): Promise<void> {
  const shown = rest && { since: rest.since.toISOString(), until: rest.until.toISOString(), reason: rest.reason };
  return writeUnder(tx, tenantId, KEY, { last_turn_at: now.toISOString(), rest: shown }, now);
}
