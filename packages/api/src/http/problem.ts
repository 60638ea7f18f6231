import { ERROR_CODES, type ErrorReport } from "@xvault/kernel";
import type { Response } from "express";
import { describeError } from "../trpc.ts";

/** An error as REST answers it: RFC 9457, with our stable code, cause, fix and request id beside the standard members. */
export interface Problem {
  /** `urn:xvault:error:` and the code. */
  type: string;
  title: string;
  status: number;
  detail: string;
  code: ErrorReport["code"];
  message: string;
  fix: string;
  retry: boolean;
  data?: ErrorReport["data"];
  request_id: string;
}

/** Any thrown thing as a problem document. Holds no stack and nothing of the cause. */
export function problemOf(error: unknown, requestId: string): Problem {
  const { report, status } = describeError(error, requestId);
  return {
    type: `urn:xvault:error:${report.code}`,
    title: ERROR_CODES[report.code].message,
    status,
    detail: report.message,
    code: report.code,
    message: report.message,
    fix: report.fix,
    retry: report.retry,
    ...(report.data ? { data: report.data } : {}),
    request_id: requestId,
  };
}

/** Answers with `application/problem+json`; where the answer has begun already, the connection is cut instead. */
export function sendProblem(res: Response, error: unknown, requestId: string): void {
  if (res.headersSent) {
    res.destroy();
    return;
  }
  const problem = problemOf(error, requestId);
  const wait = problem.data?.["retry_after_seconds"];
  if (typeof wait === "number") res.setHeader("retry-after", String(wait));
  sendAs(res, problem.status, problem);
}

/** Sends a body by its status: a success as JSON, anything else as the problem document that it is. */
export function sendAs(res: Response, status: number, body: unknown): void {
  const type = status < 400 ? "application/json" : "application/problem+json";
  res.status(status).type(type).send(JSON.stringify(body));
}
