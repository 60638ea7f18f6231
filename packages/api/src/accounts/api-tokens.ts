import type { ApiToken, createTokenInput, Role, Scope } from "@xvault/contracts";
import { newOpaqueToken } from "@xvault/crypto";
import {
  and,
  apiTokens,
  type ApiTokenRow,
  appendAudit,
  type Database,
  desc,
  eq,
  isNull,
  type TenantTx,
} from "@xvault/db";
import { type Clock, type Id, newId, type TenantId, XVaultError } from "@xvault/kernel";
import type { z } from "zod";
import { auditCall } from "../audit.ts";
import type { TokenService } from "../services.ts";
import { SCOPES_OF_ROLE } from "./roles.ts";

/** By which API tokens are told from access tokens, and found by scanners of leaked secrets. */
export const TOKEN_PREFIX = "xv_";
/** How much of a token is kept to recognise it by. Characters. */
const SHOWN = 10;
const DAY = 24 * 60 * 60_000;

/** Tokens of a workspace. People see and revoke their own; owners and admins everybody's. */
export function createTokenService(deps: { db: Database; clock: Clock }): TokenService {
  const { db, clock } = deps;
  return {
    list: ({ actor }) =>
      db.withTenant(actor.workspace.id, async (tx) => {
        const mine = seesAll(actor.workspace.role) ? undefined : eq(apiTokens.userId, actor.userId);
        const rows = await tx
          .select()
          .from(apiTokens)
          .where(and(eq(apiTokens.tenantId, actor.workspace.id), mine))
          .orderBy(desc(apiTokens.createdAt));
        return rows.map(toApiToken);
      }),

    create: ({ actor, requestId }, input) =>
      db.withTenant(actor.workspace.id, async (tx) => {
        const { id: tenantId, role } = actor.workspace;
        const holder = { tenantId, userId: actor.userId, email: actor.email, role };
        const { token, row } = await insertToken(tx, holder, input, clock.now(), requestId);
        return { token, api_token: toApiToken(row) };
      }),

    revoke: (caller, id) =>
      db.withTenant(caller.actor.workspace.id, async (tx) => {
        const { actor } = caller;
        const here = and(eq(apiTokens.tenantId, actor.workspace.id), eq(apiTokens.id, id));
        const [row] = await tx.select().from(apiTokens).where(here);
        if (!row || (row.userId !== actor.userId && !seesAll(actor.workspace.role))) throw new XVaultError("NOT_FOUND");
        if (row.revokedAt) return;
        await tx
          .update(apiTokens)
          .set({ revokedAt: clock.now() })
          .where(and(here, isNull(apiTokens.revokedAt)));
        await auditCall(tx, caller, "token.revoked", { kind: "token", id }, { name: row.name });
      }),
  };
}

function seesAll(role: Role): boolean {
  return role === "owner" || role === "admin";
}

/**
 * Makes a token; its text is in the answer and nowhere else.
 *
 * @throws SCOPE_MISSING for scopes beyond the role of its person
 */
export async function insertToken(
  tx: TenantTx,
  holder: { tenantId: TenantId; userId: string; email: string; role: Role },
  input: z.output<typeof createTokenInput>,
  now: Date,
  requestId: string,
): Promise<{ token: string; row: ApiTokenRow }> {
  const allowed: readonly Scope[] = SCOPES_OF_ROLE[holder.role];
  const excess = input.scopes.filter((scope) => !allowed.includes(scope));
  if (excess.length > 0) {
    throw new XVaultError("SCOPE_MISSING", `The role ${holder.role} may not give ${excess.join(", ")} to a token.`, {
      fix: "Leave these scopes out, or ask an owner.",
    });
  }
  const { token, hash } = newOpaqueToken(TOKEN_PREFIX);
  const id = newId<Id<"api-token">>();
  const scopes = [...new Set(input.scopes)];
  const [row] = await tx
    .insert(apiTokens)
    .values({
      id,
      tenantId: holder.tenantId,
      userId: holder.userId,
      name: input.name,
      prefix: token.slice(0, SHOWN),
      tokenHash: hash,
      scopes,
      createdAt: now,
      expiresAt: new Date(now.getTime() + input.expires_in_days * DAY),
    })
    .returning();
  if (!row) throw new Error("the database returned no row for an insert");
  await appendAudit(tx, {
    tenantId: holder.tenantId,
    actor: { kind: "user", id: holder.userId, label: holder.email },
    action: "token.created",
    target: { kind: "token", id },
    data: { name: input.name, scopes, expires_in_days: input.expires_in_days },
    requestId,
  });
  return { token, row };
}

export function toApiToken(row: ApiTokenRow): ApiToken {
  return {
    id: row.id,
    name: row.name,
    prefix: row.prefix,
    scopes: row.scopes as Scope[],
    created_at: row.createdAt.toISOString(),
    expires_at: (row.expiresAt ?? row.createdAt).toISOString(),
    last_used_at: row.lastUsedAt?.toISOString() ?? null,
    revoked_at: row.revokedAt?.toISOString() ?? null,
  };
}
