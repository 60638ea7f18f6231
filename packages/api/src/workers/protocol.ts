import { WORKER_PROTOCOL, type WorkerCall, type WorkerOutput, workerProtocol } from "@xvault/contracts";
import { verifyToken } from "@xvault/crypto";
import { eq, type WorkerRow, workers } from "@xvault/db";
import { isId, XVaultError } from "@xvault/kernel";
import express, { type Request, type RequestHandler, type Response, type Router } from "express";
import type { z } from "zod";
import type { ServiceDeps } from "../deps.ts";
import { jsonBody, MAX_WORKER_BODY } from "../http/limits.ts";
import { describeError } from "../trpc.ts";
import { createProveCall } from "../checks/prove.ts";
import { createAdoptCall } from "./adopt.ts";
import { createAuditCall } from "./audit-calls.ts";
import { createEnrolment, type EnrolmentOptions } from "./enrolment.ts";
import { createJobCalls } from "./job-calls.ts";
import { createLeaseCall } from "./lease.ts";
import { createPlanKeyCall } from "./plan-key.ts";
import { createSnapshotCalls } from "./snapshot-calls.ts";
import { createStorageCalls } from "./storage-calls.ts";
import { createUploadCalls } from "./upload-calls.ts";

/** Audience of the tokens that workers sign for the hub. */
const WORKER_AUDIENCE = "xvault-worker";
/** Workers sign each call anew or reuse a token for a little while, never for longer. */
const MAX_TOKEN_SECONDS = 120;

const smallBody = jsonBody(64 * 1024);
const largeBody = jsonBody(MAX_WORKER_BODY);

function readBody(parse: RequestHandler, request: Request, response: Response): Promise<void> {
  return new Promise((resolve, reject) => {
    void parse(request, response, (error?: unknown) => (error === undefined ? resolve() : reject(error)));
  });
}

type Handlers = {
  [C in Exclude<WorkerCall, "enrol">]: (
    worker: WorkerRow,
    input: z.output<(typeof workerProtocol)[C]["input"]>,
  ) => Promise<WorkerOutput<C>>;
};

/** The hub's side of the worker protocol, to be mounted at `/worker/v1`. Thin: parses, asks who calls, delegates. */
export function createWorkerRouter(deps: ServiceDeps, options: EnrolmentOptions): Router {
  const enrolment = createEnrolment(deps, options);
  const jobCalls = createJobCalls(deps);
  const snapshotCalls = createSnapshotCalls(deps);
  const handlers: Handlers = {
    hello: enrolment.hello,
    lease: createLeaseCall(deps),
    audit_entries: createAuditCall(deps),
    plan_key: createPlanKeyCall(deps),
    ...jobCalls,
    ...snapshotCalls,
    prove: createProveCall(deps),
    ...createStorageCalls(deps),
    ...createUploadCalls(deps),
    adopt: createAdoptCall(deps, { publish: snapshotCalls.publish, complete: jobCalls.complete }),
  };

  async function authenticate(request: Request): Promise<WorkerRow> {
    const token = /^Bearer (.+)$/.exec(request.get("authorization") ?? "")?.[1];
    const id = request.get("x-xvault-worker") ?? "";
    if (!token || !isId(id)) throw new XVaultError("UNAUTHENTICATED", "Workers sign every call.");
    const [worker] = await deps.db.withSystem((tx) => tx.select().from(workers).where(eq(workers.id, id)));
    if (!worker) throw new XVaultError("TOKEN_KEY_UNKNOWN");
    if (worker.state === "revoked") throw new XVaultError("WORKER_REVOKED");
    // The worker's own key is the only one that can have signed in its name.
    const claims = await verifyToken(token, {
      audience: WORKER_AUDIENCE,
      issuer: worker.id,
      keys: () => worker.publicKey,
    });
    if (claims.exp - claims.iat > MAX_TOKEN_SECONDS) {
      throw new XVaultError("TOKEN_INVALID", "The worker signed for longer than is accepted.");
    }
    return worker;
  }

  async function dispatch(call: string, request: Request, response: Response): Promise<unknown> {
    if (!Object.hasOwn(workerProtocol, call)) throw new XVaultError("NOT_FOUND");
    const name = call as WorkerCall;
    if (name === "enrol") {
      await readBody(smallBody, request, response);
      return enrolment.enrol(workerProtocol.enrol.input.parse(request.body));
    }
    // Who calls is known before a large body is read: strangers must not make the hub parse megabytes.
    const worker = await authenticate(request);
    await readBody(largeBody, request, response);
    const input = workerProtocol[name].input.parse(request.body);
    const handler = handlers[name] as (worker: WorkerRow, input: unknown) => Promise<unknown>;
    return handler(worker, input);
  }

  const router = express.Router();
  router.post("/:call", async (req, res) => {
    const requestId = String(res.getHeader("x-request-id") ?? "");
    try {
      if (req.get("x-xvault-protocol") !== String(WORKER_PROTOCOL)) {
        throw new XVaultError("INPUT_INVALID", "The worker speaks another version of the protocol.", {
          fix: "Run the same version of hub and worker.",
        });
      }
      res.json(await dispatch(req.params["call"], req, res));
    } catch (error) {
      const { report, status } = describeError(error, requestId);
      if (report.code === "INTERNAL") deps.log.error({ err: error, requestId }, "a worker's call failed");
      res.status(status).json(report);
    }
  });
  return router;
}
