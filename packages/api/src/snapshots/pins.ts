import type { holdInput, pinInput } from "@xvault/contracts";
import { and, eq, type SnapshotRow, snapshots, type TenantTx } from "@xvault/db";
import { shortId, XVaultError } from "@xvault/kernel";
import type { z } from "zod";
import { auditCall } from "../audit.ts";
import type { Caller } from "../context.ts";

/** Refuses the removal of what somebody wants kept. @throws SNAPSHOT_NEEDED */
export function checkNotKept(row: SnapshotRow, now: Date): void {
  if (row.pinnedAt !== null) {
    throw new XVaultError("SNAPSHOT_NEEDED", "This snapshot is pinned.", { fix: "Unpin it first." });
  }
  if (row.heldUntil !== null && row.heldUntil > now) {
    throw new XVaultError("SNAPSHOT_NEEDED", `This snapshot is on hold until ${row.heldUntil.toISOString()}.`, {
      fix: "Wait until then, or have an owner or admin lift the hold.",
    });
  }
}

/** Keeps a snapshot whatever the rules say, until somebody unpins it. Again changes the note alone. */
export async function pin(
  tx: TenantTx,
  caller: Caller,
  row: SnapshotRow,
  input: z.output<typeof pinInput>,
  now: Date,
): Promise<void> {
  checkThere(row);
  const pinNote = input.note === "" ? null : input.note;
  await change(tx, row, { pinnedAt: row.pinnedAt ?? now, pinNote });
  await auditCall(tx, caller, "snapshot.pinned", { kind: "snapshot", id: row.id }, { note: pinNote });
}

export async function unpin(tx: TenantTx, caller: Caller, row: SnapshotRow): Promise<void> {
  if (row.pinnedAt === null) return;
  await change(tx, row, { pinnedAt: null, pinNote: null });
  await auditCall(tx, caller, "snapshot.unpinned", { kind: "snapshot", id: row.id });
}

/** Keeps a snapshot until a time at least; null lifts the hold. */
export async function hold(
  tx: TenantTx,
  caller: Caller,
  row: SnapshotRow,
  input: z.output<typeof holdInput>,
  now: Date,
): Promise<void> {
  const until = input.until === null ? null : new Date(input.until);
  if (until !== null) {
    checkThere(row);
    if (until <= now) throw new XVaultError("INPUT_INVALID", "A hold must end in the future.");
  } else if (row.heldUntil === null) return;
  await change(tx, row, { heldUntil: until });
  const about = { until: until?.toISOString() ?? null, reason: input.reason };
  await auditCall(tx, caller, until ? "snapshot.held" : "snapshot.released", { kind: "snapshot", id: row.id }, about);
}

function checkThere(row: SnapshotRow): void {
  if (row.state === "complete") return;
  throw new XVaultError("NOT_FOUND", `Snapshot ${shortId(row.id)} is not there any more.`);
}

async function change(tx: TenantTx, row: SnapshotRow, to: Partial<SnapshotRow>): Promise<void> {
  await tx
    .update(snapshots)
    .set(to)
    .where(and(eq(snapshots.tenantId, row.tenantId), eq(snapshots.id, row.id)));
}
