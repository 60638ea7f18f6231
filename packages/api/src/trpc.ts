import { type Role, type Scope } from "@xvault/contracts";
import { type ErrorCode, type ErrorReport, isXVaultError, XVaultError } from "@xvault/kernel";
import { initTRPC, TRPCError } from "@trpc/server";
import { TRPC_ERROR_CODES_BY_KEY } from "@trpc/server/rpc";
import type { OpenApiMeta } from "trpc-to-openapi";
import { ZodError } from "zod";
import type { Actor, Caller, Member, RequestContext } from "./context.ts";

/** Who may call a procedure: what its check asks for, and what the API's document says of it. */
export interface Guard {
  /** The least role in the workspace; null where the call is about no workspace. */
  role: Role | null;
  /** What a token needs. 'any': every valid token will do; null: no token may, only somebody who is signed in. */
  scope: Scope | "any" | null;
  /** Somebody who is signed in must have given the password within the last 15 minutes. */
  confirmed: boolean;
  /** Only a platform admin may; everybody else is told that nothing is there. */
  platform?: true;
}

/** What is said of a procedure beside its input and output. `openapi` makes it part of the REST API. */
export interface ApiMeta extends OpenApiMeta {
  /** Set by the kind of procedure, never by hand. */
  guard?: Guard;
  /** What it can answer beyond what every call of its kind can: see `http/openapi/statuses.ts`. */
  errors?: ErrorCode[];
  /** An example of the request's body, where one that is made from the schema would not do. */
  example?: Record<string, unknown>;
}

/** Any thrown thing as what people see: our own errors as they are, failed parsing with its fields, the rest as INTERNAL. */
export function describeError(error: unknown, requestId: string): { report: ErrorReport; status: number } {
  const cause = error instanceof TRPCError && error.cause ? error.cause : error;
  if (isXVaultError(cause)) return { report: cause.report(requestId), status: cause.status };
  if (cause instanceof ZodError) {
    const fields = cause.issues.map((issue) => `${issue.path.join(".") || "request"}: ${issue.message}`);
    const wrong = new XVaultError("INPUT_INVALID", `The request is not valid: ${fields.slice(0, 5).join("; ")}.`);
    return { report: wrong.report(requestId), status: wrong.status };
  }
  const code =
    error instanceof TRPCError && error.code !== "INTERNAL_SERVER_ERROR"
      ? error.code === "NOT_FOUND"
        ? "NOT_FOUND"
        : "INPUT_INVALID"
      : "INTERNAL";
  const other = new XVaultError(code);
  return { report: other.report(requestId), status: other.status };
}

/** tRPC's number for a status. Its client takes INTERNAL_SERVER_ERROR for passing and asks again: only what may pass is called that. */
function rpcCode(status: number, fallback: (typeof TRPC_ERROR_CODES_BY_KEY)[keyof typeof TRPC_ERROR_CODES_BY_KEY]) {
  const codes = TRPC_ERROR_CODES_BY_KEY;
  if (status === 401) return codes.UNAUTHORIZED;
  if (status === 403) return codes.FORBIDDEN;
  if (status === 404) return codes.NOT_FOUND;
  if (status === 409) return codes.CONFLICT;
  if (status === 413) return codes.PAYLOAD_TOO_LARGE;
  if (status === 429) return codes.TOO_MANY_REQUESTS;
  return status < 500 ? codes.BAD_REQUEST : fallback;
}

const t = initTRPC
  .context<RequestContext>()
  .meta<ApiMeta>()
  .create({
    sse: { ping: { enabled: true, intervalMs: 10_000 }, client: { reconnectAfterInactivityMs: 30_000 } },
    errorFormatter: ({ error, ctx, shape }) => {
      const { report, status } = describeError(error, ctx?.requestId ?? "");
      // Rebuilt from nothing: tRPC's own shape can carry a stack.
      return { code: rpcCode(status, shape.code), message: report.message, data: { httpStatus: status, report } };
    },
  });

export const router = t.router;

/** Anybody. */
export const anyone = t.procedure;

/** Somebody who is signed in, or a valid token. */
export const signedIn = t.procedure
  .meta({ guard: { role: null, scope: "any", confirmed: false } })
  .use(({ ctx, next }) => {
    if (!ctx.actor) throw new XVaultError("UNAUTHENTICATED");
    return next({ ctx: { ...ctx, actor: ctx.actor } });
  });

const RANK: Record<Role, number> = { viewer: 0, operator: 1, admin: 2, owner: 3 };

/** How long after the password was given an action that wants it again may follow. Milliseconds. */
const CONFIRMATION_TTL = 15 * 60_000;

/**
 * A member of the workspace that the call names, of at least `role`; a token needs `scope` as well. With `confirmed`, a person must have
 * given the password within the last 15 minutes.
 */
export function member(role: Role, scope: Scope | null, options: { confirmed?: boolean } = {}) {
  const guard: Guard = { role, scope, confirmed: options.confirmed === true };
  return signedIn.meta({ guard }).use(async ({ ctx, next }) => {
    const { workspace, scopes } = ctx.actor;
    if (!workspace) throw new XVaultError("NOT_FOUND", "No workspace was named, or you are not a member of it.");
    if (scopes && (scope === null || !scopes.includes(scope))) {
      throw new XVaultError("SCOPE_MISSING", scope ? `The token lacks the scope ${scope}.` : "Tokens cannot do this.");
    }
    if (RANK[workspace.role] < RANK[role]) throw new XVaultError("FORBIDDEN", `This needs the role ${role} or above.`);
    if (options.confirmed) mustBeConfirmed(ctx.actor);
    const caller: Caller = { actor: ctx.actor as Member, requestId: ctx.requestId };
    await ctx.begin?.(caller);
    return next({ ctx: { ...ctx, caller } });
  });
}

/** A token stands for itself; a person must have given the password lately. @throws REAUTH_REQUIRED */
function mustBeConfirmed({ kind, confirmedAt }: Actor): void {
  if (kind !== "user") return;
  const age = Date.now() - (confirmedAt?.getTime() ?? 0);
  if (age > CONFIRMATION_TTL) throw new XVaultError("REAUTH_REQUIRED");
}

/** A platform admin, signed in as a person. Everybody else is told that nothing is here. */
export const platformAdmin = signedIn
  .meta({ guard: { role: null, scope: null, confirmed: false, platform: true } })
  .use(({ ctx, next }) => {
    if (!ctx.actor.isPlatformAdmin || ctx.actor.kind !== "user") throw new XVaultError("NOT_FOUND");
    return next({ ctx });
  });

/** The same for what opens the way to every workspace's data. @throws REAUTH_REQUIRED */
export const confirmedPlatformAdmin = platformAdmin
  .meta({ guard: { role: null, scope: null, confirmed: true, platform: true } })
  .use(({ ctx, next }) => {
    mustBeConfirmed(ctx.actor);
    return next({ ctx });
  });
