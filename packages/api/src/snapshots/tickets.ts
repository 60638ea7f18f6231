import { type Ticket, type TicketClaims, ticketClaimsSchema } from "@xvault/contracts";
import { signToken, verifyToken } from "@xvault/crypto";
import type { SnapshotRow } from "@xvault/db";
import { XVaultError } from "@xvault/kernel";
import { z } from "zod";
import type { Caller } from "../context.ts";
import type { ServiceDeps } from "../deps.ts";
import { bearerOf, bearerSchema, checkBearer } from "./ticket-bearer.ts";

/** Tickets are a use of their own: no other token of xVault passes for one. */
export const AUDIENCE = "xvault-data";
export const ISSUER = "xvault-hub";
/** How long a ticket opens the door, in seconds. What has begun goes on. */
const LIFETIME = { browse: 600, tar: 300, file: 300, raw: 3600 } as const;

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
    bearer: bearerOf(caller),
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
  await checkBearer(
    deps,
    claims.tenant_id,
    bearer,
    (role) => claims.kind === "browse" || role === "owner" || role === "admin",
  );
  return { claims, expiresAt: new Date(token.exp * 1000) };
}
