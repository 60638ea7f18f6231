import type { VerificationPolicy } from "@xvault/contracts";
import {
  and,
  asc,
  type CopyRow,
  desc,
  eq,
  inArray,
  jobs,
  lte,
  proofs,
  snapshots,
  type SnapshotRow,
  type TenantTx,
} from "@xvault/db";
import type { TenantId } from "@xvault/kernel";
import { keyHolder } from "../snapshots/dto.ts";
import { copiesOf, isReadable } from "../storages/copies.ts";

const DAY = 24 * 60 * 60_000;
/** The clocks of several hubs differ by less. Milliseconds. */
const CLOCKS_APART = 5 * 60_000;

export interface NextDrill {
  at: Date;
  snapshot: SnapshotRow;
  /** From which it would be restored. */
  copy: CopyRow;
  /** One waits or runs already. */
  isActive: boolean;
}

/**
 * The next drill of a source: its newest snapshot, so long after the last drill as the policy says; the first one a day after the first snapshot.
 * One that could state nothing is made up for after a day. Null where none will be: nobody wants it, there is nothing to restore, or the key is
 * the customer's, who alone can do it.
 */
export async function nextDrill(
  tx: TenantTx,
  tenantId: TenantId,
  sourceId: string,
  policy: VerificationPolicy,
  now: Date,
): Promise<NextDrill | null> {
  if (policy.drill_days === null) return null;
  const mine = and(eq(snapshots.tenantId, tenantId), eq(snapshots.sourceId, sourceId), eq(snapshots.state, "complete"));
  const [snapshot] = await tx.select().from(snapshots).where(mine).orderBy(desc(snapshots.sequence)).limit(1);
  if (!snapshot || (await keyHolder(tx, tenantId, snapshot.keyFingerprints)) === "customer") return null;
  const copy = (await copiesOf(tx, tenantId, [snapshot.id])).find(isReadable)?.copy;
  if (!copy) return null;
  // What is later was written by a clock that was ahead.
  const latest = new Date(now.getTime() + CLOCKS_APART);
  const [stated] = await tx
    .select({ at: proofs.createdAt })
    .from(proofs)
    .where(and(eq(proofs.tenantId, tenantId), eq(proofs.sourceId, sourceId), lte(proofs.createdAt, latest)))
    .orderBy(desc(proofs.createdAt))
    .limit(1);
  const [last] = await tx
    .select({ at: jobs.createdAt, state: jobs.state })
    .from(jobs)
    .where(
      and(
        eq(jobs.tenantId, tenantId),
        eq(jobs.sourceId, sourceId),
        eq(jobs.type, "drill"),
        lte(jobs.createdAt, latest),
      ),
    )
    .orderBy(desc(jobs.createdAt))
    .limit(1);
  const [first] = await tx
    .select({ at: snapshots.createdAt })
    .from(snapshots)
    .where(
      and(
        eq(snapshots.tenantId, tenantId),
        eq(snapshots.sourceId, sourceId),
        inArray(snapshots.state, ["complete", "expired"]),
      ),
    )
    .orderBy(asc(snapshots.sequence))
    .limit(1);
  const due = stated
    ? stated.at.getTime() + policy.drill_days * DAY
    : (first?.at ?? snapshot.createdAt).getTime() + DAY;
  const at = new Date(Math.max(due, last ? last.at.getTime() + DAY : 0));
  return { at, snapshot, copy, isActive: last?.state === "queued" || last?.state === "running" };
}
