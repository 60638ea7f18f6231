import { newId } from "@xvault/kernel";
import { type Logger, requestLogger } from "@xvault/platform";
import type { Request, RequestHandler, Response } from "express";

const ACCEPTED_ID = /^[A-Za-z0-9._-]{8,64}$/;

/** The id of a request: the caller's own where it is harmless, else a new one. It is on every log line and in every error. */
export function requestIdOf(res: Response): string {
  return String(res.locals["requestId"] ?? "");
}

/** The logger of a request. */
export function requestLogOf(res: Response, log: Logger): Logger {
  return requestLogger(log, requestIdOf(res));
}

/** The path that was asked for without its query, which can hold tickets. */
function pathOf(req: Request): string {
  return req.originalUrl.split("?", 1)[0] ?? "/";
}

/** Gives each request its id and writes one line when it is over: method, path, status, time. Never bodies, headers or queries. */
export function identifyAndLog(log: Logger): RequestHandler {
  return (req, res, next) => {
    const given = req.get("x-request-id");
    const requestId = given !== undefined && ACCEPTED_ID.test(given) ? given : newId();
    res.locals["requestId"] = requestId;
    res.setHeader("x-request-id", requestId);
    const start = performance.now();
    res.once("close", () => {
      const line = {
        method: req.method,
        path: pathOf(req),
        status: res.statusCode,
        ms: Math.round(performance.now() - start),
        ...(res.writableFinished ? {} : { aborted: true }),
      };
      const requestLog = requestLogger(log, requestId);
      const quiet = line.path === "/healthz" || line.path === "/readyz" || line.path.startsWith("/assets/");
      if (quiet) requestLog.debug(line, "request");
      else requestLog.info(line, "request");
    });
    next();
  };
}
