import { XVaultError } from "@xvault/kernel";
import type { Logger } from "@xvault/platform";
import { createExpressMiddleware, type CreateExpressContextOptions } from "@trpc/server/adapters/express";
import type { Request, RequestHandler, Response } from "express";
import { z } from "zod";
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
 * tRPC over HTTP. Calls bring `Authorization: Bearer` and `x-xvault-workspace`. Subscriptions are event streams (`Accept:
 * text/event-stream`), which a client that can send headers asks for alike; a browser's own EventSource sends none, so there the refresh
 * cookie says who and the connection parameter `workspace` says where.
 */
export function trpcHandler(deps: {
  appRouter: AppRouter;
  services: Services;
  sessions: SessionGuard;
  baseUrl: string;
  log: Logger;
}): RequestHandler[] {
  const { services, sessions, baseUrl, log } = deps;
  const streaming = new WeakMap<Request, Actor>();

  /** Looks at who asks for a stream before it begins: then the refusal has a status of its own, by which clients renew their token. */
  const openStream: RequestHandler = async (req, res, next) => {
    if ((req.get("accept") ?? "").includes("text/event-stream")) {
      const bearer = bearerOf(req);
      const token = refreshCookie(req, res, baseUrl).read();
      let actor: Actor;
      if (bearer !== undefined) actor = await services.auth.authenticate(bearer, workspaceOf(req));
      else if (token !== undefined)
        actor = await sessions.actorOfRefreshToken(token, workspaceOf(req, namedInUrl(req)));
      else throw new XVaultError("UNAUTHENTICATED");
      streaming.set(req, actor);
      endWithSession(actor, sessions, res);
    }
    next();
  };

  function createContext({ req, res, info }: CreateExpressContextOptions): Promise<RequestContext> {
    const known = streaming.get(req);
    if (info.type === "subscription" && !known) {
      throw new XVaultError("INPUT_INVALID", "Ask for a subscription with the header accept: text/event-stream.");
    }
    return contextOf(req, res, {
      services,
      cookie: refreshCookie(req, res, baseUrl),
      async authenticate() {
        if (known) return known;
        const bearer = bearerOf(req);
        return bearer === undefined ? null : services.auth.authenticate(bearer, workspaceOf(req));
      },
    });
  }

  const handle = createExpressMiddleware<AppRouter>({
    router: deps.appRouter,
    createContext,
    maxBatchSize: MAX_BATCH,
    maxBodySize: MAX_BODY,
    onError: ({ error, path, req, type }) => logFailure(error, { path, type }, req, log),
  });
  return [openStream, handle];
}

/** The workspace among the connection parameters, which tRPC's client puts into the URL. */
function namedInUrl(req: Request): string | undefined {
  const text = req.query["connectionParams"];
  if (typeof text !== "string") return undefined;
  try {
    const params = z.object({ workspace: z.string() }).safeParse(JSON.parse(text));
    return params.data?.workspace;
  } catch {
    return undefined;
  }
}

function logFailure(error: unknown, what: { path: string | undefined; type: string }, req: Request, log: Logger): void {
  const res = req.res;
  if (!res) return;
  const { status } = describeError(error, requestIdOf(res));
  if (status >= 500) requestLogOf(res, log).error({ err: error, ...what }, "a call failed");
}

/** Cuts an open stream when the session behind it ends. */
function endWithSession(actor: Actor, sessions: SessionGuard, res: Response): void {
  let asking = false;
  const timer = setInterval(async () => {
    if (asking) return;
    asking = true;
    // What cannot be checked is not trusted any longer; the client connects again.
    const alive = await sessions.isAlive(actor).catch(() => false);
    if (!alive) res.destroy();
    asking = false;
  }, ALIVE_EVERY);
  timer.unref();
  res.once("close", () => clearInterval(timer));
}
