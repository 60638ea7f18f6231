import type { Scope } from "@xvault/contracts";
import { hashOpaqueToken } from "@xvault/crypto";
import {
  and,
  type ApiTokenRow,
  apiTokens,
  type Database,
  eq,
  isNull,
  lt,
  memberships,
  or,
  sessions,
  type SQL,
  type SystemTx,
  tenants,
  type UserRow,
  users,
} from "@xvault/db";
import { type Clock, type TenantId, type UserId, XVaultError } from "@xvault/kernel";
import type { Actor } from "../context.ts";
import type { SessionGuard } from "../http/index.ts";
import { readAccessToken } from "./access-token.ts";
import { TOKEN_PREFIX } from "./api-tokens.ts";
import type { PlatformKeys } from "./platform-keys.ts";
import { findByRefreshToken, isLive, isPresentable } from "./sessions.ts";

interface Deps {
  db: Database;
  keys: PlatformKeys;
  clock: Clock;
}

/** How exactly a token's last use is noted. Milliseconds; a write for every call would be too much. */
const LAST_USED_STEP = 60_000;

/**
 * Who a bearer token speaks for, in which workspace. Session, person, token and membership are looked up at each call, so whatever is
 * revoked is dead with the next one. A workspace that is none, or a foreign one, is no workspace.
 *
 * @throws TOKEN_*, SESSION_REVOKED
 */
export async function authenticate(deps: Deps, bearer: string, workspaceId: string | undefined): Promise<Actor> {
  if (bearer.startsWith(TOKEN_PREFIX)) return byApiToken(deps, bearer, workspaceId);
  const claims = await readAccessToken(deps.keys, deps.clock, bearer);
  return deps.db.withSystem(async (tx) => {
    const [found] = await tx
      .select({ session: sessions, user: users })
      .from(sessions)
      .innerJoin(users, eq(users.id, sessions.userId))
      .where(and(eq(sessions.id, claims.sessionId), eq(sessions.userId, claims.userId)));
    if (!found || !isLive(found.session, found.user, deps.clock.now())) throw new XVaultError("SESSION_REVOKED");
    return personActor(tx, found.user, found.session.id, claims.confirmedAt, workspaceId);
  });
}

/** What event streams ask; see {@link SessionGuard}. */
export function createSessionGuard(deps: Deps): SessionGuard {
  const { db, clock } = deps;
  return {
    actorOfRefreshToken: (token, workspaceId) =>
      db.withSystem(async (tx) => {
        const found = await findByRefreshToken(tx, token, false);
        if (!found || !isLive(found.session, found.user, clock.now()) || !isPresentable(found.token, clock.now())) {
          throw new XVaultError("SESSION_REVOKED");
        }
        return personActor(tx, found.user, found.session.id, found.session.createdAt, workspaceId);
      }),
    isAlive: (actor) =>
      db.withSystem(async (tx) => {
        const now = clock.now();
        if (actor.kind === "token") {
          const [found] = await findToken(tx, eq(apiTokens.id, actor.credentialId));
          if (!found || found.token.revokedAt !== null || hasExpired(found.token, now)) return false;
          return (
            found.user.disabledAt === null && (await membershipOf(tx, found.user.id, found.token.tenantId)) !== null
          );
        }
        const [found] = await tx
          .select({ session: sessions, user: users })
          .from(sessions)
          .innerJoin(users, eq(users.id, sessions.userId))
          .where(eq(sessions.id, actor.credentialId));
        if (!found || !isLive(found.session, found.user, now)) return false;
        if (!actor.workspace) return true;
        return (await membershipOf(tx, found.user.id, actor.workspace.id)) !== null;
      }),
  };
}

async function personActor(
  tx: SystemTx,
  user: UserRow,
  sessionId: string,
  confirmedAt: Date,
  workspaceId: string | undefined,
): Promise<Actor> {
  return {
    kind: "user",
    ...factsOf(user),
    credentialId: sessionId,
    scopes: null,
    confirmedAt,
    workspace: workspaceId === undefined ? null : await membershipOf(tx, user.id, workspaceId),
  };
}

async function byApiToken(deps: Deps, bearer: string, workspaceId: string | undefined): Promise<Actor> {
  const now = deps.clock.now();
  return deps.db.withSystem(async (tx) => {
    const [found] = await findToken(tx, eq(apiTokens.tokenHash, hashOpaqueToken(bearer)));
    if (!found || found.token.revokedAt !== null || found.user.disabledAt !== null) {
      throw new XVaultError("TOKEN_INVALID");
    }
    const { token, user } = found;
    if (hasExpired(token, now)) throw new XVaultError("TOKEN_EXPIRED", undefined, { fix: "Make a new token." });
    const foreign = workspaceId !== undefined && workspaceId !== token.tenantId;
    const actor: Actor = {
      kind: "token",
      ...factsOf(user),
      credentialId: token.id,
      scopes: token.scopes as Scope[],
      confirmedAt: null,
      workspace: foreign ? null : await membershipOf(tx, user.id, token.tenantId),
    };
    const before = new Date(now.getTime() - LAST_USED_STEP);
    await tx
      .update(apiTokens)
      .set({ lastUsedAt: now })
      .where(and(eq(apiTokens.id, token.id), or(isNull(apiTokens.lastUsedAt), lt(apiTokens.lastUsedAt, before))));
    return actor;
  });
}

function findToken(tx: SystemTx, condition: SQL) {
  return tx
    .select({ token: apiTokens, user: users })
    .from(apiTokens)
    .innerJoin(users, eq(users.id, apiTokens.userId))
    .where(condition);
}

/** Every token of ours has an expiry; one without is not accepted. */
function hasExpired(token: ApiTokenRow, now: Date): boolean {
  return token.expiresAt === null || token.expiresAt <= now;
}

function factsOf(user: UserRow) {
  return { userId: user.id as UserId, email: user.email, name: user.name, isPlatformAdmin: user.isPlatformAdmin };
}

async function membershipOf(tx: SystemTx, userId: string, tenantId: string): Promise<Actor["workspace"]> {
  const [found] = await tx
    .select({ tenant: tenants, role: memberships.role })
    .from(memberships)
    .innerJoin(tenants, eq(tenants.id, memberships.tenantId))
    .where(and(eq(memberships.tenantId, tenantId), eq(memberships.userId, userId)));
  if (!found) return null;
  const { tenant, role } = found;
  return { id: tenant.id as TenantId, name: tenant.name, keyMode: tenant.keyMode, role, createdAt: tenant.createdAt };
}
