import type { Session } from "@xvault/contracts";
import { checkPasswordStrength, hashPassword, type Keyring, verifyPassword } from "@xvault/crypto";
import { type Database, eq, isUniqueViolation, type SessionRow, type SystemTx, type UserRow, users } from "@xvault/db";
import { type Clock, newId, type TenantId, type UserId, XVaultError } from "@xvault/kernel";
import type { Logger } from "@xvault/platform";
import type { AuthService, Visitor } from "../services.ts";
import { issueAccessToken } from "./access-token.ts";
import { insertToken, toApiToken } from "./api-tokens.ts";
import type { AttemptLimiter } from "./attempt-limits.ts";
import { authenticate } from "./authenticate.ts";
import { auditPerson, toUser, workspacesOf } from "./people.ts";
import type { PlatformKeys } from "./platform-keys.ts";
import { usualScopes } from "./roles.ts";
import {
  findByRefreshToken,
  isLive,
  type OpenedSession,
  openSession,
  renewSession,
  revokeSession,
  rotate,
} from "./sessions.ts";
import { createTenant } from "./tenant-keys.ts";
import type { TenantVault } from "./tenant-vault.ts";

export interface AuthDeps {
  db: Database;
  keyring: Keyring;
  vault: TenantVault;
  keys: PlatformKeys;
  clock: Clock;
  limiter: AttemptLimiter;
  allowSignup: boolean;
  log: Logger | undefined;
}

export function createAuthService(deps: AuthDeps): AuthService {
  const { db, keys, clock, limiter } = deps;

  async function describe(tx: SystemTx, user: UserRow, session: SessionRow): Promise<Session> {
    const access = await issueAccessToken(keys, clock, {
      userId: user.id,
      sessionId: session.id,
      confirmedAt: session.createdAt,
    });
    return {
      access_token: access.token,
      expires_at: access.expiresAt.toISOString(),
      user: toUser(user),
      workspaces: await workspacesOf(tx, user.id),
    };
  }

  /** Opens a session and says what the browser gets; the cookie is written after the transaction, when it is true. */
  async function begin(tx: SystemTx, user: UserRow, visitor: Visitor) {
    const opened = await openSession(tx, user.id, visitor, clock.now());
    return { opened, session: await describe(tx, user, opened.session) };
  }

  function handOver({ opened, session }: { opened: OpenedSession; session: Session }, visitor: Visitor): Session {
    visitor.cookie.write(opened.token, opened.tokenExpiresAt);
    return session;
  }

  /**
   * The person whom e-mail address and password belong to. The same work is done for an unknown address, and the same is answered.
   *
   * @throws CREDENTIALS_INVALID, RATE_LIMITED
   */
  async function checkPassword(email: string, password: string, visitor: Visitor): Promise<UserRow> {
    await limiter.spend(email, visitor.ip);
    const [user] = await db.withSystem((tx) => tx.select().from(users).where(eq(users.email, email)));
    const usable = user?.disabledAt === null ? user : undefined;
    if (!(await verifyPassword(password, usable?.passwordHash)) || !usable) {
      // Not waited for: the time taken must not tell who has an account.
      if (user) void auditFailure(user, visitor);
      throw new XVaultError("CREDENTIALS_INVALID");
    }
    await limiter.forgive(email, visitor.ip);
    return usable;
  }

  async function auditFailure(user: UserRow, visitor: Visitor): Promise<void> {
    try {
      await db.withSystem((tx) =>
        auditPerson(tx, user, "session.sign_in_failed", { ip: visitor.ip }, visitor.requestId),
      );
    } catch (error) {
      deps.log?.error({ err: error, requestId: visitor.requestId }, "a failed sign-in could not be audited");
    }
  }

  return {
    async signUp(input, visitor) {
      if (!deps.allowSignup) {
        throw new XVaultError("FORBIDDEN", "This xVault does not take new accounts.", {
          fix: "Ask its operator for an account.",
        });
      }
      await limiter.spendSignUp(visitor.ip);
      checkPasswordStrength(input.password);
      const passwordHash = await hashPassword(input.password);
      const userId = newId<UserId>();
      const tenantId = newId<TenantId>();
      try {
        const begun = await db.withSystem(async (tx) => {
          const [user] = await tx
            .insert(users)
            .values({ id: userId, email: input.email, name: input.name, passwordHash, createdAt: clock.now() })
            .returning();
          if (!user) throw new Error("the database returned no row for an insert");
          await createTenant(
            tx,
            {
              id: tenantId,
              name: input.workspace_name,
              keyMode: input.key_mode,
              recipient: input.recipient,
              owner: { id: userId, email: user.email },
              requestId: visitor.requestId,
            },
            deps,
          );
          await auditPerson(tx, user, "user.signed_up", { ip: visitor.ip }, visitor.requestId);
          return begin(tx, user, visitor);
        });
        return handOver(begun, visitor);
      } catch (error) {
        if (isUniqueViolation(error, "users_email_unique")) throw new XVaultError("EMAIL_TAKEN");
        throw error;
      }
    },

    async signIn(input, visitor) {
      const user = await checkPassword(input.email, input.password, visitor);
      const signedIn = await db.withSystem(async (tx) => {
        const begun = await begin(tx, user, visitor);
        await auditPerson(tx, user, "session.started", { ip: visitor.ip }, visitor.requestId);
        return begun;
      });
      return handOver(signedIn, visitor);
    },

    async refresh(visitor) {
      const presented = visitor.cookie.read();
      if (presented === undefined) throw new XVaultError("UNAUTHENTICATED");
      // What ends a session must be committed, so the error is thrown after the transaction.
      const outcome = await db.withSystem(async (tx) => {
        const rotation = await rotate(tx, presented, clock.now());
        if (rotation.kind === "reused") {
          const facts = { ip: visitor.ip, session: rotation.session.id };
          await auditPerson(tx, rotation.user, "session.reuse_detected", facts, visitor.requestId);
        }
        if (rotation.kind !== "rotated") return null;
        return { rotation, session: await describe(tx, rotation.user, rotation.session) };
      });
      if (!outcome) {
        visitor.cookie.clear();
        throw new XVaultError("SESSION_REVOKED");
      }
      visitor.cookie.write(outcome.rotation.token, outcome.rotation.tokenExpiresAt);
      return outcome.session;
    },

    async signOut(visitor) {
      const presented = visitor.cookie.read();
      if (presented === undefined) return;
      await db.withSystem(async (tx) => {
        const found = await findByRefreshToken(tx, presented, true);
        if (!found || !isLive(found.session, found.user, clock.now())) return;
        await revokeSession(tx, found.session.id, "signed_out", clock.now());
        await auditPerson(tx, found.user, "session.ended", { session: found.session.id }, visitor.requestId);
      });
      visitor.cookie.clear();
    },

    async confirm(actor, password, visitor) {
      if (actor.kind !== "user") throw new XVaultError("FORBIDDEN", "Tokens cannot confirm a password.");
      const user = await checkPassword(actor.email, password, visitor);
      const begun = await db.withSystem(async (tx) => {
        const opened = await renewSession(tx, actor.credentialId, visitor, clock.now());
        await auditPerson(tx, user, "session.confirmed", { session: opened.session.id }, visitor.requestId);
        return { opened, session: await describe(tx, user, opened.session) };
      });
      return handOver(begun, visitor);
    },

    authenticate: (bearer, workspaceId) => authenticate(deps, bearer, workspaceId),

    async tokenSignIn(input, visitor) {
      const user = await checkPassword(input.email, input.password, visitor);
      const workspaces = await db.withSystem((tx) => workspacesOf(tx, user.id));
      const named = input.workspace_id;
      const workspace = named === undefined ? workspaces[0] : workspaces.find(({ id }) => id === named);
      if (!workspace) throw new XVaultError("NOT_FOUND", "You are a member of no such workspace.");
      const created = await db.withTenant(workspace.id as TenantId, (tx) =>
        insertToken(
          tx,
          { tenantId: workspace.id as TenantId, userId: user.id, email: user.email, role: workspace.role },
          {
            name: input.name,
            scopes: input.scopes ?? usualScopes(workspace.role),
            expires_in_days: input.expires_in_days,
          },
          clock.now(),
          visitor.requestId,
        ),
      );
      return { token: created.token, api_token: toApiToken(created.row), user: toUser(user), workspace };
    },
  };
}
