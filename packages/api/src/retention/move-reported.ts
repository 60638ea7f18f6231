import { type PackageType, type RuleSet, tierEnds } from "@xvault/contracts";
import {
  and,
  asc,
  eq,
  inArray,
  isNull,
  jobEvents,
  lte,
  or,
  packages,
  type PackageRow,
  type SQL,
  type TenantTx,
} from "@xvault/db";
import type { TenantId } from "@xvault/kernel";
import { DAY } from "./ages.ts";
import { planReported } from "./reported.ts";

/** Rows that one turn changes. */
const AT_ONCE = 1000;

/** Those of the packages without bytes that a moment brings to another tier, or to their end. */
function dueReported(tenantId: TenantId, rules: ReadonlyMap<PackageType, RuleSet>, at: Date): SQL | undefined {
  const due = [...rules].flatMap(([type, set]) =>
    tierEnds(set).flatMap(([tier, days]) => {
      if (days === null) return [];
      const before = new Date(at.getTime() - days * DAY);
      return [and(eq(packages.packageType, type), eq(packages.tier, tier), lte(packages.createdAt, before))];
    }),
  );
  return and(eq(packages.tenantId, tenantId), isNull(packages.snapshotId), or(...due));
}

/** Packages without bytes whose tier or end comes up to a moment, the oldest first. */
export function reportedUpTo(
  tx: TenantTx,
  tenantId: TenantId,
  rules: ReadonlyMap<PackageType, RuleSet>,
  at: Date,
  limit: number,
): Promise<PackageRow[]> {
  return tx
    .select()
    .from(packages)
    .where(dueReported(tenantId, rules, at))
    .orderBy(asc(packages.createdAt), asc(packages.id))
    .limit(limit);
}

/** Lets what clients only report age: its row gets another tier, or goes. No byte of it is here. */
export async function moveReported(
  tx: TenantTx,
  tenantId: TenantId,
  rules: ReadonlyMap<PackageType, RuleSet>,
  now: Date,
): Promise<void> {
  const rows = await reportedUpTo(tx, tenantId, rules, now, AT_ONCE);
  const gone: string[] = [];
  for (const row of rows) {
    const set = rules.get(row.packageType);
    const action = set && planReported(row, set, now);
    if (!action) continue;
    if (action.to === null) {
      gone.push(row.id);
      continue;
    }
    await tx
      .update(packages)
      .set({ tier: action.to, updatedAt: now })
      .where(and(eq(packages.tenantId, tenantId), eq(packages.id, row.id)));
    const message = `Old enough for the ${action.to} tier. What the client keeps there, xVault does not see.`;
    await tx
      .insert(jobEvents)
      .values({ tenantId, jobId: row.jobId, attempt: 0, step: "receive", level: "info", message });
  }
  if (gone.length > 0) {
    await tx.delete(packages).where(and(eq(packages.tenantId, tenantId), inArray(packages.id, gone)));
  }
}
