import { type Ticket, type TicketClaims, ticketClaimsSchema } from "@xvault/contracts";
import { signToken, verifyToken } from "@xvault/crypto";
import { and, apiTokens, eq, memberships, sessions, type SnapshotRow, users } from "@xvault/db";
import { XVaultError } from "@xvault/kernel";
import { z } from "zod";
import type { Caller } from "../context.ts";
import type { ServiceDeps } from "../deps.ts";

/** Tickets are a use of their own: no other token of xVault passes for one. */
const AUDIENCE = "xvault-data";
const ISSUER = "xvault-hub";
/** How long a ticket opens the door, in seconds. What has begun goes on. */
const LIFETIME = { browse: 600, tar: 300, file: 300, raw: 3600 } as const;

/** On whose behalf a ticket was given; asked again when it is redeemed, so that a revoked session opens nothing. */
const bearerSchema = z.object({
  user_id: z.string(),
  credential_kind: z.enum(["user", "token"]),
  credential_id: z.string(),
});
const claimsSchema = ticketClaimsSchema.extend({ bearer: bearerSchema, worker_id: z.string() });

type Deps = Pick<ServiceDeps, "db" | "platformKeys" | "clock">;

/** Signs the right to read one snapshot at the one worker that holds it. The hub carries none of the bytes. */
export async function issueTicket(
  deps: Deps,
  caller: Caller,
  what: { row: SnapshotRow; kind: TicketClaims["kind"]; paths: string[] },
  worker: { id: string; dataUrl: string },
): Promise<Ticket> {
  const { jwt } = deps.platformKeys;
  const expiresInSeconds = LIFETIME[what.kind];
  const claims: z.infer<typeof claimsSchema> = {
    kind: what.kind,
    tenant_id: what.row.tenantId,
    source_id: what.row.sourceId,
    snapshot_id: what.row.id,
    paths: what.paths,
    worker_id: worker.id,
    bearer: {
      user_id: caller.actor.userId,
      credential_kind: caller.actor.kind,
      credential_id: caller.actor.credentialId,
    },
  };
  const ticket = await signToken({
    claims,
    audience: AUDIENCE,
    issuer: ISSUER,
    subject: what.row.id,
    expiresInSeconds,
    keyId: jwt.id,
    privateKey: jwt.privateKey,
  });
  return {
    ticket,
    data_url: worker.dataUrl.replace(/\/+$/, ""),
    expires_at: new Date(deps.clock.now().getTime() + expiresInSeconds * 1000).toISOString(),
  };
}

/** Checks a ticket that was shown to a worker. @throws TOKEN_*, SESSION_REVOKED */
export async function redeemTicket(
  deps: Deps,
  ticket: string,
  workerId: string,
): Promise<{ claims: TicketClaims; expiresAt: Date }> {
  const { jwtPublicKeys } = deps.platformKeys;
  const token = await verifyToken(ticket, {
    audience: AUDIENCE,
    issuer: ISSUER,
    keys: (kid) => (Object.hasOwn(jwtPublicKeys, kid) ? jwtPublicKeys[kid] : undefined),
  });
  const parsed = claimsSchema.safeParse(token);
  if (!parsed.success || parsed.data.worker_id !== workerId) throw new XVaultError("TOKEN_INVALID");
  const { bearer, worker_id: _, ...claims } = parsed.data;
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
      .where(and(eq(memberships.tenantId, claims.tenant_id), eq(memberships.userId, bearer.user_id)));
    const mayDownload = membership?.role === "owner" || membership?.role === "admin";
    if (!membership || (claims.kind !== "browse" && !mayDownload)) throw new XVaultError("SESSION_REVOKED");
  });
  return { claims, expiresAt: new Date(token.exp * 1000) };
}
