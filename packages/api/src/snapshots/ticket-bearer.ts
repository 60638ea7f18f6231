import type { Role } from "@xvault/contracts";
import { and, apiTokens, eq, memberships, sessions, users } from "@xvault/db";
import { XVaultError } from "@xvault/kernel";
import { z } from "zod";
import type { Caller } from "../context.ts";
import type { ServiceDeps } from "../deps.ts";

/** On whose behalf a ticket was given; asked again when it is redeemed, so that a revoked session opens nothing. */
export const bearerSchema = z.object({
  user_id: z.string(),
  credential_kind: z.enum(["user", "token"]),
  credential_id: z.string(),
});
type Bearer = z.infer<typeof bearerSchema>;

export function bearerOf({ actor }: Caller): Bearer {
  return { user_id: actor.userId, credential_kind: actor.kind, credential_id: actor.credentialId };
}

/** Whether who got a ticket still is who may use it. @throws SESSION_REVOKED */
export async function checkBearer(
  deps: Pick<ServiceDeps, "db" | "clock">,
  tenantId: string,
  bearer: Bearer,
  isAllowed: (role: Role) => boolean,
): Promise<void> {
  await deps.db.withSystem(async (tx) => {
    const [live] =
      bearer.credential_kind === "user"
        ? await tx.select().from(sessions).where(eq(sessions.id, bearer.credential_id))
        : await tx.select().from(apiTokens).where(eq(apiTokens.id, bearer.credential_id));
    const isOver = !live || live.userId !== bearer.user_id || live.revokedAt !== null;
    if (isOver || live.expiresAt === null || live.expiresAt <= deps.clock.now())
      throw new XVaultError("SESSION_REVOKED");
    const [person] = await tx.select({ disabledAt: users.disabledAt }).from(users).where(eq(users.id, bearer.user_id));
    if (person?.disabledAt !== null) throw new XVaultError("SESSION_REVOKED");
    const [membership] = await tx
      .select({ role: memberships.role })
      .from(memberships)
      .where(and(eq(memberships.tenantId, tenantId), eq(memberships.userId, bearer.user_id)));
    if (!membership || !isAllowed(membership.role)) throw new XVaultError("SESSION_REVOKED");
  });
}
