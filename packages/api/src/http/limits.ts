import { XVaultError } from "@xvault/kernel";
import { networkOf } from "@xvault/platform";
import express, { type RequestHandler, type Response } from "express";
import { RateLimiterMemory, RateLimiterRes } from "rate-limiter-flexible";

/** The most calls that one tRPC request may carry. */
export const MAX_BATCH = 10;
/** The largest request body of people and programs. Bytes. */
export const MAX_BODY = 2 * 1024 * 1024;
/** The largest request body of workers, who send manifests and a job's events. Bytes. */
export const MAX_WORKER_BODY = 20 * 1024 * 1024;

/** The one policy there is, as `RateLimit` names it. */
const POLICY = '"default"';
/** Seconds. */
const WINDOW = 60;

/**
 * A general brake, wide enough for a busy dashboard and for scripts. Counted in this process: several hubs allow as many times more, which a
 * brake of this kind can bear.
 */
export interface RateLimit {
  /** Counts a call, and says in the answer's headers what is left. @throws RATE_LIMITED with `data.retry_after_seconds`. */
  spend(key: string, res: Response): Promise<void>;
  /** Counts nothing. @throws RATE_LIMITED where all is spent already. */
  check(key: string, res: Response): Promise<void>;
}

export function createRateLimit(perMinute: number): RateLimit {
  const limiter = new RateLimiterMemory({ points: perMinute, duration: WINDOW });
  const refuse = (state: RateLimiterRes, res: Response): never => {
    sayWhatIsLeft(res, perMinute, state);
    const seconds = Math.max(1, Math.ceil(state.msBeforeNext / 1000));
    throw new XVaultError("RATE_LIMITED", undefined, { data: { retry_after_seconds: seconds } });
  };
  return {
    async spend(key, res) {
      const state = await limiter.consume(key).catch((reason: unknown) => {
        if (reason instanceof RateLimiterRes) return refuse(reason, res);
        throw reason;
      });
      sayWhatIsLeft(res, perMinute, state);
    },
    async check(key, res) {
      const state = await limiter.get(key);
      if (state !== null && state.remainingPoints <= 0) refuse(state, res);
    },
  };
}

/** The fields of draft-ietf-httpapi-ratelimit-headers, and those that clients have known for longer. */
function sayWhatIsLeft(res: Response, limit: number, state: RateLimiterRes): void {
  const left = Math.max(0, state.remainingPoints);
  const seconds = Math.ceil(state.msBeforeNext / 1000);
  res.setHeader("RateLimit-Policy", `${POLICY};q=${limit};w=${WINDOW}`);
  res.setHeader("RateLimit", `${POLICY};r=${left};t=${seconds}`);
  res.setHeader("X-RateLimit-Limit", String(limit));
  res.setHeader("X-RateLimit-Remaining", String(left));
  res.setHeader("X-RateLimit-Reset", String(Math.ceil((Date.now() + state.msBeforeNext) / 1000)));
}

/** Brakes each address, whoever calls from it. @throws RATE_LIMITED (through `next`) */
export function limitAddresses(limit: RateLimit): RequestHandler {
  return async (req, res, next) => {
    await limit.spend(addressKey(req.ip), res);
    next();
  };
}

export function addressKey(ip: string | undefined): string {
  return `address ${networkOf(ip ?? "unknown")}`;
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
