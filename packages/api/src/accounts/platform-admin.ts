import { checkPasswordStrength, hashPassword } from "@xvault/crypto";
import { appendAudit, type Database, eq, PLATFORM_TENANT, sessions, sql, users } from "@xvault/db";
import { type Clock, newId, randomBytes, type UserId } from "@xvault/kernel";

const DEFAULT_EMAIL = "admin@xvault.local";
/** Held while it is looked for, so that two hubs that start at once make one admin. The number is arbitrary, and ours. */
const LOCK = 7_384_202;

export interface PlatformAdmin {
  email: string;
  /** Only when it was generated just now: shown once, and stored as a hash alone. */
  password: string | null;
  created: boolean;
}

/**
 * Sees to it, at the hub's start, that there is a platform admin. The first one comes from the configuration, or gets a password that is
 * returned once. An account that has that address already becomes the admin, but with this password and without its sessions: whoever
 * made it never proved that the address is theirs.
 *
 * @returns null when there is an admin.
 * @throws PASSWORD_WEAK for a configured password
 */
export async function ensurePlatformAdmin(
  wanted: { email?: string | undefined; password?: string | undefined },
  deps: { db: Database; clock: Clock },
): Promise<PlatformAdmin | null> {
  const { db, clock } = deps;
  const email = (wanted.email ?? DEFAULT_EMAIL).trim().toLowerCase();
  const password = wanted.password ?? Buffer.from(randomBytes(15)).toString("base64url");
  return db.withSystem(async (tx) => {
    await tx.execute(sql`select pg_advisory_xact_lock(${LOCK})`);
    const [admin] = await tx.select({ id: users.id }).from(users).where(eq(users.isPlatformAdmin, true)).limit(1);
    if (admin) return null;
    checkPasswordStrength(password);
    const passwordHash = await hashPassword(password);
    const now = clock.now();
    const [known] = await tx
      .update(users)
      .set({ isPlatformAdmin: true, passwordHash, disabledAt: null })
      .where(eq(users.email, email))
      .returning({ id: users.id });
    const id = known?.id ?? newId<UserId>();
    if (known) {
      await tx.delete(sessions).where(eq(sessions.userId, id));
    } else {
      const person = { id, email, name: "Platform admin", passwordHash, isPlatformAdmin: true, createdAt: now };
      await tx.insert(users).values(person);
    }
    await appendAudit(tx, {
      tenantId: PLATFORM_TENANT,
      actor: { kind: "system", id: null, label: "hub" },
      action: "admin.created",
      target: { kind: "user", id },
      data: { email, promoted: known !== undefined },
      requestId: null,
    });
    return { email, password: wanted.password === undefined ? password : null, created: !known };
  });
}
