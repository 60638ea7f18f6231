import { uploadClaimsSchema } from "@xvault/contracts";
import { signToken, verifyToken } from "@xvault/crypto";
import { XVaultError } from "@xvault/kernel";
import { z } from "zod";
import { SCOPES_OF_ROLE } from "../accounts/roles.ts";
import type { Caller } from "../context.ts";
import type { ServiceDeps } from "../deps.ts";
import { bearerOf, bearerSchema, checkBearer } from "../snapshots/ticket-bearer.ts";
import { AUDIENCE, ISSUER } from "../snapshots/tickets.ts";

/** Seconds. A client whose upload takes longer asks for another one and goes on where it is. */
const LIFETIME = 3600;

const claimsSchema = uploadClaimsSchema.extend({ bearer: bearerSchema, worker_id: z.string() });
type Claims = z.infer<typeof claimsSchema>;

type Deps = Pick<ServiceDeps, "db" | "platformKeys" | "clock">;

/** Signs the right to send the bytes of one package to one worker. */
export async function issueUploadTicket(
  deps: Deps,
  caller: Caller,
  jobId: string,
  workerId: string,
): Promise<{ ticket: string; expires_at: string }> {
  const { jwt } = deps.platformKeys;
  const claims: Claims = {
    kind: "upload",
    tenant_id: caller.actor.workspace.id,
    job_id: jobId,
    worker_id: workerId,
    bearer: bearerOf(caller),
  };
  const ticket = await signToken({
    claims,
    audience: AUDIENCE,
    issuer: ISSUER,
    subject: jobId,
    expiresInSeconds: LIFETIME,
    keyId: jwt.id,
    privateKey: jwt.privateKey,
  });
  return { ticket, expires_at: new Date(deps.clock.now().getTime() + LIFETIME * 1000).toISOString() };
}

/** Checks such a ticket that was shown to a worker. @throws TOKEN_*, SESSION_REVOKED */
export async function redeemUploadTicket(
  deps: Deps,
  ticket: string,
  workerId: string,
): Promise<{ tenantId: string; jobId: string; expiresAt: Date }> {
  const { jwtPublicKeys } = deps.platformKeys;
  const token = await verifyToken(ticket, {
    audience: AUDIENCE,
    issuer: ISSUER,
    keys: (kid) => (Object.hasOwn(jwtPublicKeys, kid) ? jwtPublicKeys[kid] : undefined),
  });
  const parsed = claimsSchema.safeParse(token);
  if (!parsed.success || parsed.data.worker_id !== workerId) throw new XVaultError("TOKEN_INVALID");
  const { bearer, tenant_id: tenantId, job_id: jobId } = parsed.data;
  await checkBearer(deps, tenantId, bearer, (role) => SCOPES_OF_ROLE[role].includes("packages:write"));
  return { tenantId, jobId, expiresAt: new Date(token.exp * 1000) };
}
