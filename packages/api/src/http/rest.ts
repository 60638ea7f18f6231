import { XVaultError } from "@xvault/kernel";
import type { Logger } from "@xvault/platform";
import { callTRPCProcedure } from "@trpc/server";
import { type Request, type Response, Router } from "express";
import type { AppRouter } from "../routers/index.ts";
import type { Services } from "../services.ts";
import { describeError } from "../trpc.ts";
import { bearerOf, contextOf, workspaceOf } from "./caller.ts";
import { noCookie } from "./cookie.ts";
import { openApiDocument } from "./openapi.ts";
import { sendProblem } from "./problem.ts";
import { requestIdOf, requestLogOf } from "./request.ts";
import { coerceQuery, restRoutes, routeFinder } from "./rest-routes.ts";

/**
 * The REST API over the same procedures as tRPC: parameters from path, query and JSON body become the one input, answers are the plain
 * output, errors are problem documents. (trpc-to-openapi makes the document; its own adapter would replace our error codes.)
 */
export function restRouter(deps: { appRouter: AppRouter; services: Services; version: string; log: Logger }): Router {
  const { appRouter, services, log } = deps;
  const find = routeFinder(restRoutes(appRouter));
  let document: string | undefined;

  async function answer(req: Request, res: Response): Promise<void> {
    const method = req.method === "HEAD" ? "GET" : req.method;
    const found = find(method, req.path);
    if (!found) throw new XVaultError("NOT_FOUND", "No such path, or not with this method.");
    const { route, params } = found;
    const bearer = bearerOf(req);
    const ctx = await contextOf(req, res, {
      services,
      cookie: noCookie,
      authenticate: async () => (bearer === undefined ? null : services.auth.authenticate(bearer, workspaceOf(req))),
    });
    // DELETE has its parameters in the query, as the document says; some clients send a body instead.
    const query = method === "GET" || method === "DELETE" ? coerceQuery(req.query, route.input) : {};
    const input = { ...query, ...(method === "GET" ? {} : bodyOf(req)), ...params };
    const gone = new AbortController();
    res.once("close", () => gone.abort());
    const output: unknown = await callTRPCProcedure({
      router: appRouter,
      path: route.procedure,
      type: route.type,
      ctx,
      getRawInput: async () => input,
      signal: gone.signal,
      batchIndex: 0,
    });
    res.status(200).json(output);
  }

  const router = Router();
  router.get("/openapi.json", (_req, res) => {
    document ??= JSON.stringify(openApiDocument(appRouter, deps.version));
    res.setHeader("cache-control", "no-cache");
    res.type("application/json").send(document);
  });
  router.use((req, res) => {
    answer(req, res).catch((error: unknown) => {
      const requestId = requestIdOf(res);
      if (describeError(error, requestId).status >= 500) requestLogOf(res, log).error({ err: error }, "a call failed");
      sendProblem(res, error, requestId);
    });
  });
  return router;
}

function bodyOf(req: Request): object {
  const body: unknown = req.body ?? {};
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    throw new XVaultError("INPUT_INVALID", "The request body must be a JSON object.");
  }
  return body;
}
