import type { User, Workspace } from "@xvault/contracts";
import { and, appendAudit, eq, memberships, PLATFORM_TENANT, type SystemTx, tenants, type UserRow } from "@xvault/db";
import type { TenantId } from "@xvault/kernel";

export function toUser(row: UserRow): User {
  return { id: row.id, email: row.email, name: row.name, is_platform_admin: row.isPlatformAdmin };
}

/** The workspaces that a person belongs to, the oldest membership first. */
export async function workspacesOf(tx: SystemTx, userId: string): Promise<Workspace[]> {
  const rows = await tx
    .select({ tenant: tenants, role: memberships.role })
    .from(memberships)
    .innerJoin(tenants, eq(tenants.id, memberships.tenantId))
    .where(eq(memberships.userId, userId))
    .orderBy(memberships.createdAt, memberships.tenantId);
  return rows.map(({ tenant, role }) => ({
    id: tenant.id,
    name: tenant.name,
    key_mode: tenant.keyMode,
    role,
    created_at: tenant.createdAt.toISOString(),
  }));
}

/**
 * Writes what happened to a person's account into the audit log of each workspace that they belong to, whose owners must see it, or of
 * the platform where there is none. Of a platform's admin the platform's log has it always, and no workspace but their own: anybody could add
 * them to one.
 */
export async function auditPerson(
  tx: SystemTx,
  user: Pick<UserRow, "id" | "email" | "isPlatformAdmin">,
  action: string,
  data: Record<string, string | number | boolean | null>,
  requestId: string,
): Promise<void> {
  const rows = await tx
    .select({ tenantId: memberships.tenantId })
    .from(memberships)
    .where(and(eq(memberships.userId, user.id), user.isPlatformAdmin ? eq(memberships.role, "owner") : undefined))
    // Always in the same order: two such transactions wait for each other's chains, and must not do so crosswise.
    .orderBy(memberships.tenantId);
  const tenantIds = rows.map((row) => row.tenantId as TenantId);
  if (user.isPlatformAdmin || tenantIds.length === 0) tenantIds.unshift(PLATFORM_TENANT);
  for (const tenantId of tenantIds) {
    await appendAudit(tx, {
      tenantId,
      actor: { kind: "user", id: user.id, label: user.email },
      action,
      target: { kind: "user", id: user.id },
      data,
      requestId,
    });
  }
}
