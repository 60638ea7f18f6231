import { and, eq, sources, type SourceRow, type TenantTx } from "@xvault/db";
import { newId, type SourceId, type TenantId, XVaultError } from "@xvault/kernel";

/** The source that stands for the workspace's own audit log: its archives are the source's snapshots. Made with the first one. */
export async function auditSource(tx: TenantTx, tenantId: TenantId): Promise<SourceRow> {
  const row = (await knownAuditSource(tx, tenantId)) ?? (await register(tx, tenantId));
  if (!row) throw new XVaultError("INTERNAL");
  return row;
}

export async function knownAuditSource(tx: TenantTx, tenantId: TenantId): Promise<SourceRow | undefined> {
  const [row] = await tx
    .select()
    .from(sources)
    .where(and(eq(sources.tenantId, tenantId), eq(sources.kind, "audit")));
  return row;
}

async function register(tx: TenantTx, tenantId: TenantId): Promise<SourceRow | undefined> {
  const values = {
    id: newId<SourceId>(),
    tenantId,
    name: "Audit log",
    kind: "audit",
    packageType: "audit_logs",
  } as const;
  const [made] = await tx.insert(sources).values(values).onConflictDoNothing().returning();
  return made ?? knownAuditSource(tx, tenantId);
}

/** Nobody changes, pauses or removes what keeps the audit log. Where it is placed is the workspace's choice. @throws CONFLICT */
export function checkNotAudit(source: Pick<SourceRow, "kind">): void {
  if (source.kind !== "audit") return;
  throw new XVaultError("CONFLICT", "This is the workspace's audit log: it is archived by itself, and stays.", {
    fix: "Set how long it is kept, and where, on the page Retention and by its placement.",
  });
}
