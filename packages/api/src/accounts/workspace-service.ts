import type { Member, Role } from "@xvault/contracts";
import { and, type Database, eq, memberships, type TenantTx, tenants, users } from "@xvault/db";
import { type Clock, type TenantId, XVaultError } from "@xvault/kernel";
import { auditCall } from "../audit.ts";
import type { Caller } from "../context.ts";
import type { WorkspaceService } from "../services.ts";
import { workspacesOf } from "./people.ts";

/** Workspaces and who belongs to them. */
export function createWorkspaceService(deps: { db: Database; clock: Clock }): WorkspaceService {
  const { db, clock } = deps;

  return {
    list: (actor) =>
      db.withSystem(async (tx) => {
        const workspaces = await workspacesOf(tx, actor.userId);
        // A token sees the one workspace that it belongs to.
        return actor.kind === "user" ? workspaces : workspaces.filter(({ id }) => id === actor.workspace?.id);
      }),

    rename: (caller, name) =>
      db.withTenant(caller.actor.workspace.id, async (tx) => {
        const { workspace } = caller.actor;
        await tx.update(tenants).set({ name }).where(eq(tenants.id, workspace.id));
        const target = { kind: "workspace", id: workspace.id };
        await auditCall(tx, caller, "workspace.renamed", target, { from: workspace.name, to: name });
        return {
          id: workspace.id,
          name,
          key_mode: workspace.keyMode,
          role: workspace.role,
          created_at: workspace.createdAt.toISOString(),
        };
      }),

    members: ({ actor }) => db.withTenant(actor.workspace.id, (tx) => membersOf(tx, actor.workspace.id)),

    async addMember(caller, { email, role }) {
      const { workspace } = caller.actor;
      mayGive(caller, role);
      // Within a workspace only its own members can be seen, so the person is looked up outside of it.
      const [user] = await db.withSystem((tx) => tx.select({ id: users.id }).from(users).where(eq(users.email, email)));
      if (!user) {
        throw new XVaultError("NOT_FOUND", "Nobody has an account with this e-mail address.", {
          fix: "Ask the person to sign up first.",
        });
      }
      return db.withTenant(workspace.id, async (tx) => {
        const [added] = await tx
          .insert(memberships)
          .values({ tenantId: workspace.id, userId: user.id, role, createdAt: clock.now() })
          .onConflictDoNothing()
          .returning();
        if (!added) throw new XVaultError("CONFLICT", "This person is a member already.");
        await auditCall(tx, caller, "member.added", { kind: "user", id: user.id }, { email, role });
        return findMember(tx, workspace.id, user.id);
      });
    },

    async setRole(caller, userId, role) {
      const { workspace } = caller.actor;
      mayGive(caller, role);
      return db.withTenant(workspace.id, async (tx) => {
        const member = await lockMember(tx, caller, userId);
        if (member.role === role) return member;
        if (member.role === "owner") await keepAnOwner(tx, workspace.id);
        await tx.update(memberships).set({ role }).where(memberIs(workspace.id, userId));
        const target = { kind: "user", id: userId };
        await auditCall(tx, caller, "member.role_changed", target, {
          email: member.email,
          from: member.role,
          to: role,
        });
        return { ...member, role };
      });
    },

    async removeMember(caller, userId) {
      const { workspace } = caller.actor;
      await db.withTenant(workspace.id, async (tx) => {
        const member = await lockMember(tx, caller, userId);
        if (member.role === "owner") await keepAnOwner(tx, workspace.id);
        await tx.delete(memberships).where(memberIs(workspace.id, userId));
        const target = { kind: "user", id: userId };
        await auditCall(tx, caller, "member.removed", target, { email: member.email, role: member.role });
      });
    },
  };
}

function memberIs(tenantId: TenantId, userId: string) {
  return and(eq(memberships.tenantId, tenantId), eq(memberships.userId, userId));
}

/** Only owners make owners, and no token makes who could do more than a token: that needs a person's password. @throws FORBIDDEN */
function mayGive(caller: Caller, role: Role): void {
  if (caller.actor.kind === "token" && (role === "owner" || role === "admin")) {
    throw new XVaultError("FORBIDDEN", "An API token makes nobody an admin or owner.", {
      fix: "Do it on the page Team, signed in.",
    });
  }
  if (role === "owner" && caller.actor.workspace.role !== "owner") {
    throw new XVaultError("FORBIDDEN", "Only an owner can make another owner.");
  }
}

/**
 * A member whose role is about to change. All memberships of the workspace are locked, so that two owners cannot step down at once.
 *
 * @throws NOT_FOUND; FORBIDDEN when an admin lays hands on an owner
 */
async function lockMember(tx: TenantTx, caller: Caller, userId: string): Promise<Member> {
  const { workspace } = caller.actor;
  await tx
    .select({ userId: memberships.userId })
    .from(memberships)
    .where(eq(memberships.tenantId, workspace.id))
    .orderBy(memberships.userId)
    .for("update");
  const member = await findMember(tx, workspace.id, userId);
  if (member.role === "owner" && workspace.role !== "owner") {
    throw new XVaultError("FORBIDDEN", "Only an owner can change or remove an owner.");
  }
  return member;
}

/** @throws CONFLICT when the workspace has one owner left */
async function keepAnOwner(tx: TenantTx, tenantId: TenantId): Promise<void> {
  const owners = await tx
    .select({ userId: memberships.userId })
    .from(memberships)
    .where(and(eq(memberships.tenantId, tenantId), eq(memberships.role, "owner")));
  if (owners.length > 1) return;
  throw new XVaultError("CONFLICT", "A workspace must keep at least one owner.", {
    fix: "Make another member an owner first.",
  });
}

async function membersOf(tx: TenantTx, tenantId: TenantId, userId?: string): Promise<Member[]> {
  const rows = await tx
    .select({ user: { id: users.id, email: users.email, name: users.name }, membership: memberships })
    .from(memberships)
    .innerJoin(users, eq(users.id, memberships.userId))
    .where(and(eq(memberships.tenantId, tenantId), userId === undefined ? undefined : eq(memberships.userId, userId)))
    .orderBy(memberships.createdAt, memberships.userId);
  return rows.map(({ user, membership }) => ({
    user_id: user.id,
    email: user.email,
    name: user.name,
    role: membership.role,
    created_at: membership.createdAt.toISOString(),
  }));
}

async function findMember(tx: TenantTx, tenantId: TenantId, userId: string): Promise<Member> {
  const [member] = await membersOf(tx, tenantId, userId);
  if (!member) throw new XVaultError("NOT_FOUND");
  return member;
}
