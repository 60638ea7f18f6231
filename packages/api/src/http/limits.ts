import { XVaultError } from "@xvault/kernel";
import express, { type RequestHandler } from "express";
import { RateLimiterMemory, RateLimiterRes } from "rate-limiter-flexible";

/** The most calls that one tRPC request may carry. */
export const MAX_BATCH = 10;
/** The largest request body of people and programs. Bytes. */
export const MAX_BODY = 2 * 1024 * 1024;
/** The largest request body of workers, who send manifests and a job's events. Bytes. */
export const MAX_WORKER_BODY = 20 * 1024 * 1024;

/**
 * A general brake for each address, wide enough for a busy dashboard and for scripts. Counted in this process: several hubs allow
 * as many times more, which a brake of this kind can bear.
 *
 * @throws RATE_LIMITED (through `next`) with `data.retry_after_seconds`.
 */
export function rateLimit(perMinute: number): RequestHandler {
  const limiter = new RateLimiterMemory({ points: perMinute, duration: 60 });
  return async (req, _res, next) => {
    try {
      await limiter.consume(req.ip ?? "unknown");
    } catch (reason) {
      throw reason instanceof RateLimiterRes ? tooMany(reason.msBeforeNext) : reason;
    }
    next();
  };
}

function tooMany(waitMs: number): XVaultError {
  return new XVaultError("RATE_LIMITED", undefined, { data: { retry_after_seconds: Math.ceil(waitMs / 1000) } });
}

/** Refuses batches above {@link MAX_BATCH} before anything is parsed. @throws BATCH_LIMIT, INPUT_INVALID (through `next`). */
export const batchLimit: RequestHandler = (req, _res, next) => {
  let path: string;
  try {
    path = decodeURIComponent(req.path);
  } catch {
    return next(new XVaultError("INPUT_INVALID", "The path is not valid."));
  }
  if (path.split(",").length > MAX_BATCH) {
    return next(new XVaultError("BATCH_LIMIT", `A batch may hold ${MAX_BATCH} calls at most.`));
  }
  next();
};

/**
 * Reads JSON bodies up to a size. Other kinds of body are refused: forms and plain text are what a foreign page can send unasked.
 *
 * @throws BODY_TOO_LARGE, INPUT_INVALID (through `next`).
 */
export function jsonBody(limit: number): RequestHandler {
  const parse = express.json({ limit });
  return (req, res, next) => {
    const hasBody = req.headers["transfer-encoding"] !== undefined || Number(req.headers["content-length"] ?? 0) > 0;
    if (hasBody && !req.is("application/json")) {
      return next(new XVaultError("INPUT_INVALID", "The body must be JSON, with content-type application/json."));
    }
    parse(req, res, (error: unknown) => next(error === undefined ? undefined : bodyError(error, limit)));
  };
}

function bodyError(error: unknown, limit: number): unknown {
  const type = error instanceof Error && "type" in error ? error.type : undefined;
  if (type === "entity.too.large") {
    return new XVaultError("BODY_TOO_LARGE", `The request body is larger than ${limit} bytes.`);
  }
  if (type === "request.aborted") return new XVaultError("CANCELLED", "The request was aborted.", { cause: error });
  return new XVaultError("INPUT_INVALID", "The request body is not valid JSON.", { cause: error });
}
