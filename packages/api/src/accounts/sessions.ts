import { hashOpaqueToken, newOpaqueToken } from "@xvault/crypto";
import {
  and,
  eq,
  isNull,
  lt,
  max,
  refreshTokens,
  type RefreshTokenRow,
  sessions,
  type SessionRow,
  sql,
  type SystemTx,
  type UserRow,
  users,
} from "@xvault/db";
import { type Id, newId, XVaultError } from "@xvault/kernel";
import { ACCESS_TOKEN_SECONDS } from "./access-token.ts";

/** How long a refresh token may lie unused, and how long a session may be kept alive by refreshing. Milliseconds. */
const REFRESH_TTL = 7 * 24 * 60 * 60_000;
const SESSION_TTL = 30 * 24 * 60 * 60_000;
/** Two tabs that refresh at once both bring the same token; for this long the second is believed. Milliseconds. */
const RACE_GRACE = 10_000;

export interface OpenedSession {
  session: SessionRow;
  token: string;
  tokenExpiresAt: Date;
}

/** Begins a session, which is a family of refresh tokens, of which one at a time is good. Those long over are forgotten. */
export async function openSession(
  tx: SystemTx,
  userId: string,
  from: { ip: string; userAgent: string },
  now: Date,
): Promise<OpenedSession> {
  const over = lt(sessions.expiresAt, new Date(now.getTime() - SESSION_TTL));
  await tx.delete(sessions).where(and(eq(sessions.userId, userId), over));
  const [session] = await tx
    .insert(sessions)
    .values({
      id: newId<Id<"session">>(),
      userId,
      ip: from.ip,
      userAgent: from.userAgent,
      createdAt: now,
      lastUsedAt: now,
      expiresAt: new Date(now.getTime() + SESSION_TTL),
    })
    .returning();
  if (!session) throw new Error("the database returned no row for an insert");
  return { session, ...(await issueRefreshToken(tx, session, now)) };
}

async function issueRefreshToken(
  tx: SystemTx,
  session: SessionRow,
  now: Date,
): Promise<{ token: string; tokenExpiresAt: Date }> {
  const { token, hash } = newOpaqueToken("xr_");
  const tokenExpiresAt = new Date(Math.min(now.getTime() + REFRESH_TTL, session.expiresAt.getTime()));
  await tx.insert(refreshTokens).values({
    id: newId<Id<"refresh-token">>(),
    sessionId: session.id,
    tokenHash: hash,
    createdAt: now,
  });
  return { token, tokenExpiresAt };
}

export interface FoundSession {
  session: SessionRow;
  user: UserRow;
  token: RefreshTokenRow;
}

/** The session that a refresh token belongs to, whatever state both are in. With `lock`, nobody else rotates it meanwhile. */
export async function findByRefreshToken(tx: SystemTx, token: string, lock: boolean): Promise<FoundSession | null> {
  const hash = hashOpaqueToken(token);
  if (lock) {
    const [known] = await tx
      .select({ sessionId: refreshTokens.sessionId })
      .from(refreshTokens)
      .where(eq(refreshTokens.tokenHash, hash));
    if (!known) return null;
    // The session's row is the lock of the whole family; its tokens are read after it is held.
    await tx.select({ id: sessions.id }).from(sessions).where(eq(sessions.id, known.sessionId)).for("update");
  }
  const [found] = await tx
    .select({ session: sessions, user: users, token: refreshTokens })
    .from(refreshTokens)
    .innerJoin(sessions, eq(sessions.id, refreshTokens.sessionId))
    .innerJoin(users, eq(users.id, sessions.userId))
    .where(eq(refreshTokens.tokenHash, hash));
  return found ?? null;
}

/** True while a session may be used. */
export function isLive(session: SessionRow, user: UserRow, now: Date): boolean {
  return session.revokedAt === null && session.expiresAt > now && user.disabledAt === null;
}

/** True for a refresh token that is unspent, or was spent so lately that another tab may not know the next one yet. */
export function isPresentable(token: RefreshTokenRow, now: Date): boolean {
  if (isStale(token, now)) return false;
  return token.usedAt === null || now.getTime() - token.usedAt.getTime() <= RACE_GRACE;
}

function isStale(token: RefreshTokenRow, now: Date): boolean {
  return token.createdAt.getTime() + REFRESH_TTL <= now.getTime();
}

export type Rotation =
  | { kind: "rotated"; session: SessionRow; user: UserRow; token: string; tokenExpiresAt: Date }
  | { kind: "reused"; session: SessionRow; user: UserRow }
  | { kind: "ended" };

/**
 * Spends a refresh token for the next one (promise 38).
 *
 * The unspent tokens of a session are its current generation: one, or a few after a race of tabs. Spending any of them spends them all,
 * so the family never goes on in two lines, and whoever keeps the other line (a thief, or the person robbed) is noticed at its next
 * use. A token of the generation just spent is believed for ten seconds and gets a sibling in the current generation; every other spent
 * token is a replay and ends the session.
 */
export async function rotate(tx: SystemTx, presented: string, now: Date): Promise<Rotation> {
  const found = await findByRefreshToken(tx, presented, true);
  if (!found || !isLive(found.session, found.user, now) || isStale(found.token, now)) return { kind: "ended" };
  const { session, user, token } = found;
  const ofFamily = eq(refreshTokens.sessionId, session.id);
  if (token.usedAt === null) {
    await tx
      .update(refreshTokens)
      .set({ usedAt: now })
      .where(and(ofFamily, isNull(refreshTokens.usedAt)));
  } else {
    const [last] = await tx
      .select({ spentAt: max(refreshTokens.usedAt) })
      .from(refreshTokens)
      .where(ofFamily);
    const isPrevious = last?.spentAt?.getTime() === token.usedAt.getTime();
    if (!isPrevious || !isPresentable(token, now)) {
      await revokeSession(tx, session.id, "reuse", now);
      return { kind: "reused", session, user };
    }
  }
  const forgotten = lt(refreshTokens.createdAt, new Date(now.getTime() - REFRESH_TTL));
  await tx.delete(refreshTokens).where(and(ofFamily, forgotten));
  await tx.update(sessions).set({ lastUsedAt: now }).where(eq(sessions.id, session.id));
  return { kind: "rotated", session, user, ...(await issueRefreshToken(tx, session, now)) };
}

/** Ends a session: its access tokens are refused from the next call on. */
export async function revokeSession(
  tx: SystemTx,
  sessionId: string,
  reason: "signed_out" | "reuse",
  now: Date,
): Promise<void> {
  await tx
    .update(sessions)
    .set({ revokedAt: now, revokedReason: reason })
    .where(and(eq(sessions.id, sessionId), isNull(sessions.revokedAt)));
}

/**
 * After the password was given once more: a new session in the place of the old, because a session's beginning is what tells when the
 * password was given. The old one ends as soon as access tokens that other tabs still hold have run out.
 *
 * @throws SESSION_REVOKED
 */
export async function renewSession(
  tx: SystemTx,
  sessionId: string,
  from: { ip: string; userAgent: string },
  now: Date,
): Promise<OpenedSession> {
  const soon = new Date(now.getTime() + ACCESS_TOKEN_SECONDS * 1000);
  const [old] = await tx
    .update(sessions)
    .set({ expiresAt: sql`least(${sessions.expiresAt}, ${soon.toISOString()}::timestamptz)` })
    .where(and(eq(sessions.id, sessionId), isNull(sessions.revokedAt)))
    .returning();
  if (!old) throw new XVaultError("SESSION_REVOKED");
  return openSession(tx, old.userId, from, now);
}
