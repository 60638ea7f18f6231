import { eq, sources, type SourceRow, type TenantTx } from "@xvault/db";
import { isXVaultError, newId, type SourceId, XVaultError } from "@xvault/kernel";
import { auditCall } from "../audit.ts";
import type { Caller } from "../context.ts";
import { findSource } from "../sources/find.ts";

/**
 * The edge source that its client calls `name`, registered where it does not exist yet: the seeds' clients ingest without registering
 * first. @throws INPUT_INVALID for a source that xVault pulls from, SOURCE_PAUSED
 */
export async function edgeSource(tx: TenantTx, caller: Caller, name: string, now: Date): Promise<SourceRow> {
  const row =
    (await known(tx, caller, name)) ?? (await register(tx, caller, name)) ?? (await findSource(tx, caller, name));
  if (row.kind !== "edge") {
    throw new XVaultError("INPUT_INVALID", "xVault pulls from this source; it takes no packages.", {
      fix: "Send packages under a source_id of their own.",
    });
  }
  if (row.state === "paused") throw new XVaultError("SOURCE_PAUSED", undefined, { data: { reason: row.pausedReason } });
  await tx.update(sources).set({ lastSeenAt: now }).where(eq(sources.id, row.id));
  return row;
}

async function known(tx: TenantTx, caller: Caller, name: string): Promise<SourceRow | null> {
  return findSource(tx, caller, name).catch((error: unknown) => {
    if (isXVaultError(error) && error.code === "NOT_FOUND") return null;
    throw error;
  });
}

/** Null where another call registered it just now. */
async function register(tx: TenantTx, caller: Caller, name: string): Promise<SourceRow | null> {
  const tenantId = caller.actor.workspace.id;
  const [made] = await tx
    .insert(sources)
    .values({ id: newId<SourceId>(), tenantId, name: name.slice(0, 120), kind: "edge", edgeId: name })
    .onConflictDoNothing()
    .returning();
  if (!made) return null;
  const about = { name: made.name, source_kind: "edge" };
  await auditCall(tx, caller, "source.created", { kind: "source", id: made.id }, about);
  return made;
}
