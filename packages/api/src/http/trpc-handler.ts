import type { Logger } from "@xvault/platform";
import { createExpressMiddleware, type CreateExpressContextOptions } from "@trpc/server/adapters/express";
import type { Request, RequestHandler, Response } from "express";
import type { Actor, RequestContext } from "../context.ts";
import type { AppRouter } from "../routers/index.ts";
import type { Services } from "../services.ts";
import { describeError } from "../trpc.ts";
import { bearerOf, contextOf, type SessionGuard, workspaceOf } from "./caller.ts";
import { refreshCookie } from "./cookie.ts";
import { MAX_BATCH, MAX_BODY } from "./limits.ts";
import { requestIdOf, requestLogOf } from "./request.ts";

/** How often an open event stream asks whether its session still lives. Milliseconds; a revoked session is dead within a second. */
const ALIVE_EVERY = 700;

/**
 * tRPC over HTTP. Calls bring `Authorization: Bearer` and `x-xvault-workspace`. Subscriptions are event streams; a browser's EventSource
 * sends no headers, so there the refresh cookie says who and the connection parameter `workspace` says where.
 */
export function trpcHandler(deps: {
  appRouter: AppRouter;
  services: Services;
  sessions: SessionGuard;
  baseUrl: string;
  log: Logger;
}): RequestHandler {
  const { services, sessions, baseUrl, log } = deps;

  async function createContext({ req, res, info }: CreateExpressContextOptions): Promise<RequestContext> {
    const cookie = refreshCookie(req, res, baseUrl);
    const streams = info.type === "subscription";
    const context = await contextOf(req, res, {
      services,
      cookie,
      async authenticate() {
        const bearer = bearerOf(req);
        if (bearer !== undefined) return services.auth.authenticate(bearer, workspaceOf(req));
        const token = streams ? cookie.read() : undefined;
        if (token === undefined) return null;
        const actor = await sessions.actorOfRefreshToken(token, workspaceOf(req, info.connectionParams?.["workspace"]));
        return actor;
      },
    });
    if (streams) endWithSession(() => context.actor, sessions, res);
    return context;
  }

  return createExpressMiddleware<AppRouter>({
    router: deps.appRouter,
    createContext,
    maxBatchSize: MAX_BATCH,
    maxBodySize: MAX_BODY,
    onError: ({ error, path, req, type }) => logFailure(error, { path, type }, req, log),
  });
}

function logFailure(error: unknown, what: { path: string | undefined; type: string }, req: Request, log: Logger): void {
  const res = req.res;
  if (!res) return;
  const { status } = describeError(error, requestIdOf(res));
  if (status >= 500) requestLogOf(res, log).error({ err: error, ...what }, "a call failed");
}

/** Cuts an open stream when the session behind it ends. */
function endWithSession(actorOf: () => Actor | null, sessions: SessionGuard, res: Response): void {
  let actor: Actor | null;
  try {
    actor = actorOf();
  } catch {
    return; // The procedure itself answers this.
  }
  if (!actor) return;
  const known = actor;
  let asking = false;
  const timer = setInterval(async () => {
    if (asking) return;
    asking = true;
    // What cannot be checked is not trusted any longer; the client connects again.
    const alive = await sessions.isAlive(known).catch(() => false);
    if (!alive) res.destroy();
    asking = false;
  }, ALIVE_EVERY);
  timer.unref();
  res.once("close", () => clearInterval(timer));
}
