import type { CheckedCopy, listChecksInput } from "@xvault/contracts";
import { and, asc, copies, eq, gt, inArray, or, snapshots, sources, sql, storages, type TenantTx } from "@xvault/db";
import type { TenantId } from "@xvault/kernel";
import type { z } from "zod";
import { decodeCursor, toPage } from "../pages.ts";
import { toCopy } from "../snapshots/dto.ts";
import { lastResult, nextCheck } from "./due.ts";
import { verificationPolicy } from "./policy.ts";

/** A page of the copies that are kept, those that were left alone longest first. */
export async function listChecked(
  tx: TenantTx,
  tenantId: TenantId,
  input: z.output<typeof listChecksInput>,
  now: Date,
): Promise<{ items: CheckedCopy[]; next_cursor: string | null }> {
  const policy = await verificationPolicy(tx, tenantId);
  const seen = sql<Date>`coalesce(${copies.checkedAt}, ${copies.createdAt})`.mapWith(copies.createdAt);
  const states =
    input.state === "damaged" ? (["corrupt", "missing"] as const) : (["complete", "corrupt", "missing"] as const);
  const filters = [eq(copies.tenantId, tenantId), inArray(copies.state, [...states]), eq(snapshots.state, "complete")];
  if (input.cursor) {
    const { at, id } = decodeCursor(input.cursor);
    const after = or(gt(seen, at), and(eq(seen, at), gt(copies.id, id)));
    if (after) filters.push(after);
  }
  const rows = await tx
    .select({ copy: copies, snapshot: snapshots, source: sources.name, storage: storages, seen })
    .from(copies)
    .innerJoin(snapshots, and(eq(snapshots.tenantId, copies.tenantId), eq(snapshots.id, copies.snapshotId)))
    .innerJoin(storages, and(eq(storages.tenantId, copies.tenantId), eq(storages.id, copies.storageId)))
    .leftJoin(sources, and(eq(sources.tenantId, snapshots.tenantId), eq(sources.id, snapshots.sourceId)))
    .where(and(...filters))
    .orderBy(asc(seen), asc(copies.id))
    .limit(input.limit + 1);
  return toPage(
    rows,
    input.limit,
    ({ copy, snapshot, source, storage }) => {
      const due = nextCheck(copy, policy, now);
      return {
        ...toCopy({ copy, storage, platform: null, worker: null }),
        source_id: snapshot.sourceId,
        source_name: source ?? "removed source",
        snapshot_at: snapshot.createdAt.toISOString(),
        last: lastResult(copy),
        due: due && { depth: due.depth, at: due.at.toISOString() },
      };
    },
    (row) => ({ at: row.seen, id: row.copy.id }),
  );
}
