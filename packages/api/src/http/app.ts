import { XVaultError } from "@xvault/kernel";
import type { Health, HubConfig, Logger } from "@xvault/platform";
import express, { type ErrorRequestHandler, type RequestHandler, type Router } from "express";
import type { IdempotencyKeys } from "../idempotency/service.ts";
import type { AppRouter } from "../routers/index.ts";
import type { Services } from "../services.ts";
import { describeError } from "../trpc.ts";
import type { SessionGuard } from "./caller.ts";
import { refreshCookieName } from "./cookie.ts";
import { batchLimit, createRateLimit, jsonBody, limitAddresses, MAX_BODY } from "./limits.ts";
import { sendProblem } from "./problem.ts";
import { identifyAndLog, requestIdOf, requestLogOf } from "./request.ts";
import { restRouter } from "./rest.ts";
import { originCheck, securityHeaders } from "./security.ts";
import { trpcHandler } from "./trpc-handler.ts";
import { webRouter } from "./web.ts";

export interface HttpAppDeps {
  appRouter: AppRouter;
  services: Services;
  /** Asked by event streams; `createAccounts` makes it beside the services. */
  sessions: SessionGuard;
  idempotency: IdempotencyKeys;
  config: Pick<HubConfig, "baseUrl" | "trustProxy">;
  log: Logger;
  health: Health;
  version: string;
  /** Origins of the workers' data listeners, for the Content-Security-Policy. Asked at every answer. */
  dataOrigins?: () => readonly string[];
  /** The built web interface. Without it `/` answers NOT_FOUND. */
  webDir?: string | undefined;
  /** Calls of workers, mounted at `/worker/v1`; reads bodies itself, errors handed to `next` become problem documents. */
  workerRouter?: Router;
  /** Requests a minute from one address to `/trpc`, and with one token or session, or else from one address, to `/api/v1`. Default 3,000. */
  requestsPerMinute?: number;
}

/** The hub's HTTP face: tRPC at `/trpc`, REST at `/api/v1`, workers at `/worker/v1`, health, and the web interface for all the rest. */
export function createHttpApp(deps: HttpAppDeps): express.Application {
  const { appRouter, services, sessions, idempotency, config, log, health, version } = deps;
  const { baseUrl } = config;
  const app = express();
  app.disable("x-powered-by");
  app.disable("etag");
  app.set("trust proxy", config.trustProxy);
  app.set("query parser", "simple");

  app.use(identifyAndLog(log));
  app.get("/healthz", (_req, res) => {
    const { status, body } = health.live();
    res.status(status).json(body);
  });
  app.get("/readyz", async (_req, res) => {
    const { status, body } = await health.ready();
    res.status(status).json(body);
  });
  app.use(securityHeaders(baseUrl, deps.dataOrigins ?? (() => [])));

  if (deps.workerRouter) app.use("/worker/v1", noStore, deps.workerRouter, notFound);

  const perMinute = deps.requestsPerMinute ?? 3000;
  const guard = [noStore, originCheck(baseUrl, refreshCookieName(baseUrl))];
  const trpc = trpcHandler({ appRouter, services, sessions, baseUrl, log });
  app.use(
    "/trpc",
    ...guard,
    limitAddresses(createRateLimit(perMinute)),
    batchLimit,
    jsonBody(MAX_BODY),
    ...trpc,
    trpcErrors(log),
  );
  const limit = createRateLimit(perMinute);
  app.use("/api/v1", ...guard, restRouter({ appRouter, services, version, limit, idempotency }));
  app.use("/api", notFound);

  if (deps.webDir !== undefined) app.use(webRouter(deps.webDir));
  app.use(notFound);
  app.use(problemErrors(log));
  return app;
}

const noStore: RequestHandler = (_req, res, next) => {
  res.setHeader("cache-control", "no-store");
  next();
};

const notFound: RequestHandler = (_req, _res, next) => next(new XVaultError("NOT_FOUND"));

/** What Express and its parsers refuse (a path that cannot be decoded) as an error of the caller's, not of ours. */
function ours(error: unknown): unknown {
  const status = error instanceof Error && "status" in error ? Number(error.status) : 0;
  if (error instanceof XVaultError || status < 400 || status >= 500) return error;
  return new XVaultError(status === 404 ? "NOT_FOUND" : "INPUT_INVALID", undefined, { cause: error });
}

/** What fails before tRPC sees it, in the shape of tRPC's own errors. */
function trpcErrors(log: Logger): ErrorRequestHandler {
  return (error: unknown, _req, res, _next) => {
    const { report, status } = describeError(ours(error), requestIdOf(res));
    if (status >= 500) requestLogOf(res, log).error({ err: error }, "a request failed");
    const body = { error: { code: -32_600, message: report.message, data: { httpStatus: status, report } } };
    if (res.headersSent) res.destroy();
    else res.status(status).json(body);
  };
}

function problemErrors(log: Logger): ErrorRequestHandler {
  return (error: unknown, _req, res, _next) => {
    const requestId = requestIdOf(res);
    const { status } = describeError(ours(error), requestId);
    if (status >= 500) requestLogOf(res, log).error({ err: error }, "a request failed");
    sendProblem(res, ours(error), requestId);
  };
}
