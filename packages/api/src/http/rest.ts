import { XVaultError } from "@xvault/kernel";
import { callTRPCProcedure } from "@trpc/server";
import { type Request, type Response, Router } from "express";
import type { RequestContext } from "../context.ts";
import type { IdempotencyKeys } from "../idempotency/service.ts";
import type { AppRouter } from "../routers/index.ts";
import type { Services } from "../services.ts";
import { bearerOf, contextOf, workspaceOf } from "./caller.ts";
import { noCookie } from "./cookie.ts";
import { addressKey, jsonBody, limitAddresses, MAX_BODY, type RateLimit } from "./limits.ts";
import { once } from "./once.ts";
import { openApiDocument } from "./openapi/document.ts";
import { sendAs } from "./problem.ts";
import { coerceQuery, type RestRoute, restRoutes, routeFinder } from "./rest-routes.ts";

/**
 * The REST API over the same procedures as tRPC: parameters from path, query and JSON body become the one input, answers are the plain
 * output, errors are problem documents. (trpc-to-openapi makes the document; its own adapter would replace our error codes.)
 */
export function restRouter(deps: {
  appRouter: AppRouter;
  services: Services;
  version: string;
  /** By token or session; by address where there is none. */
  limit: RateLimit;
  idempotency: IdempotencyKeys;
}): Router {
  const { appRouter, services, limit, idempotency } = deps;
  const find = routeFinder(restRoutes(appRouter));
  const contexts = new WeakMap<Request, RequestContext>();
  let document: string | undefined;

  /** Finds out who calls, and counts the call. An address that spent all by calls of nobody's is not even looked up. */
  async function admit(req: Request, res: Response): Promise<void> {
    await limit.check(addressKey(req.ip), res);
    const bearer = bearerOf(req);
    const ctx = await contextOf(req, res, {
      services,
      cookie: noCookie,
      authenticate: async () => (bearer === undefined ? null : services.auth.authenticate(bearer, workspaceOf(req))),
    });
    contexts.set(req, ctx);
    const credential = credentialOf(ctx);
    await limit.spend(credential === null ? addressKey(req.ip) : `credential ${credential}`, res);
  }

  async function answer(req: Request, res: Response): Promise<void> {
    const method = req.method === "HEAD" ? "GET" : req.method;
    const found = find(method, req.path);
    const ctx = contexts.get(req);
    if (!found || !ctx) throw new XVaultError("NOT_FOUND", "No such path, or not with this method.");
    const gone = new AbortController();
    res.once("close", () => gone.abort());
    const { route, params } = found;
    const { status, body, replayed } = await once(idempotency, req, ctx, async () => {
      const output: unknown = await callTRPCProcedure({
        router: appRouter,
        path: route.procedure,
        type: route.type,
        ctx,
        getRawInput: async () => inputOf(req, method, route, params),
        signal: gone.signal,
        batchIndex: 0,
      });
      // Lists are objects, so that they may gain fields.
      return Array.isArray(output) ? { items: output } : output;
    });
    if (replayed) res.setHeader("Idempotent-Replayed", "true");
    sendAs(res, status, body);
  }

  const router = Router();
  router.get("/openapi.json", limitAddresses(limit), (_req, res) => {
    document ??= JSON.stringify(openApiDocument(appRouter, deps.version));
    res.setHeader("cache-control", "no-cache");
    res.type("application/json").send(document);
  });
  router.use(async (req, res, next) => {
    await admit(req, res);
    next();
  });
  const readBody = jsonBody(MAX_BODY);
  router.use((req, res, next) => (readsOnly(req) ? next() : readBody(req, res, next)));
  router.use(answer);
  return router;
}

/** A call that has its parameters in path and query; whatever body comes along is left unread. */
function readsOnly({ method }: Request): boolean {
  return method === "GET" || method === "HEAD";
}

/** The session or token of a call; null where it brought none that counts. */
function credentialOf(ctx: RequestContext): string | null {
  try {
    return ctx.actor?.credentialId ?? null;
  } catch {
    // What is wrong with it is said by the call itself, where that needs somebody.
    return null;
  }
}

function inputOf(req: Request, method: string, route: RestRoute, params: Record<string, string>): object {
  // DELETE has its parameters in the query, as the document says; some clients send a body instead.
  const query = method === "GET" || method === "DELETE" ? coerceQuery(req.query, route.input) : {};
  return { ...query, ...(method === "GET" ? {} : bodyOf(req)), ...params };
}

function bodyOf(req: Request): object {
  const body: unknown = req.body ?? {};
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    throw new XVaultError("INPUT_INVALID", "The request body must be a JSON object.");
  }
  return body;
}
