import { isId } from "@xvault/kernel";
import type { Request, Response } from "express";
import type { Actor, RefreshCookie, RequestContext } from "../context.ts";
import type { Services } from "../services.ts";
import { requestIdOf } from "./request.ts";

/** What the HTTP layer asks about sessions beyond the service that routers call. */
export interface SessionGuard {
  /**
   * Who a refresh token speaks for, without spending it. For event streams, since browsers' EventSource sends cookies but no headers.
   * @throws SESSION_REVOKED
   */
  actorOfRefreshToken(token: string, workspaceId: string | undefined): Promise<Actor>;
  /** True while the session or token behind an actor is neither revoked nor expired and its person not disabled. */
  isAlive(actor: Actor): Promise<boolean>;
}

/** The token in `Authorization: Bearer …`. */
export function bearerOf(req: Request): string | undefined {
  return /^Bearer +([A-Za-z0-9._~+/=-]+)$/i.exec(req.get("authorization") ?? "")?.[1];
}

/** The workspace that `x-xvault-workspace` (or `fallback`) names; what cannot be an id is nobody's workspace. */
export function workspaceOf(req: Request, fallback?: string): string | undefined {
  const named = req.get("x-xvault-workspace") ?? fallback;
  return named !== undefined && isId(named) ? named : undefined;
}

/**
 * The context of a request. A bad token is an error only for calls that need somebody: reading `actor` throws it. So a stale access
 * token does not keep anyone from refreshing it.
 */
export async function contextOf(
  req: Request,
  res: Response,
  parts: { services: Services; cookie: RefreshCookie; authenticate: () => Promise<Actor | null> },
): Promise<RequestContext> {
  let actor: Actor | null = null;
  let failure: unknown;
  try {
    actor = await parts.authenticate();
  } catch (error) {
    failure = error;
  }
  return {
    requestId: requestIdOf(res),
    ip: req.ip ?? "unknown",
    userAgent: (req.get("user-agent") ?? "").slice(0, 300),
    cookie: parts.cookie,
    services: parts.services,
    get actor() {
      if (failure !== undefined) throw failure;
      return actor;
    },
  };
}
