import {
  errorReportSchema,
  WORKER_PROTOCOL,
  type WorkerCall,
  type WorkerInput,
  type WorkerOutput,
  workerProtocol,
} from "@xvault/contracts";
import { signToken } from "@xvault/crypto";
import { isXVaultError, XVaultError } from "@xvault/kernel";
import { setTimeout as sleep } from "node:timers/promises";
import type { WorkerIdentity } from "./identity.ts";

/** The worker's side of the protocol. Every answer is parsed; every failure is an {@link XVaultError}. */
export interface HubClient {
  call<C extends WorkerCall>(name: C, input: WorkerInput<C>, signal?: AbortSignal): Promise<WorkerOutput<C>>;
  /**
   * The same, for what must arrive: while the hub is away (UNAVAILABLE) it is tried again with growing waits, until `signal` aborts. A hub that
   * answers again and again that something is wrong inside it (INTERNAL) is believed after a minute: a job must not hold its place for ever.
   */
  insist<C extends WorkerCall>(name: C, input: WorkerInput<C>, signal?: AbortSignal): Promise<WorkerOutput<C>>;
  /** Signs calls from now on. */
  identify(identity: WorkerIdentity): void;
}

const TOKEN_SECONDS = 60;
const CALL_TIMEOUT = 30_000;
const FIRST_WAIT = 250;
const MAX_WAIT = 15_000;
const MAX_DEFECTS = 8;

export function createHubClient(hubUrl: string, options: { firstWaitMs?: number } = {}): HubClient {
  const base = `${hubUrl.replace(/\/+$/, "")}/worker/v1`;
  let identity: WorkerIdentity | undefined;
  let token: { text: string; until: number } | undefined;

  const authorization = async (): Promise<Record<string, string>> => {
    if (!identity) return {};
    if (!token || token.until < Date.now()) {
      const text = await signToken({
        audience: "xvault-worker",
        issuer: identity.workerId,
        subject: identity.workerId,
        expiresInSeconds: TOKEN_SECONDS,
        keyId: identity.workerId,
        privateKey: identity.key.privateKey,
      });
      token = { text, until: Date.now() + (TOKEN_SECONDS / 2) * 1000 };
    }
    return { authorization: `Bearer ${token.text}`, "x-xvault-worker": identity.workerId };
  };

  const client: HubClient = {
    identify: (who) => {
      identity = who;
      token = undefined;
    },

    async call(name, input, signal) {
      let response: Response;
      let body: unknown;
      try {
        const limit = AbortSignal.timeout(CALL_TIMEOUT);
        response = await fetch(`${base}/${name}`, {
          method: "POST",
          headers: {
            "content-type": "application/json",
            "x-xvault-protocol": String(WORKER_PROTOCOL),
            ...(await authorization()),
          },
          body: JSON.stringify(input, withoutNul),
          signal: signal ? AbortSignal.any([signal, limit]) : limit,
        });
        body = await response.json();
      } catch (cause) {
        signal?.throwIfAborted();
        throw new XVaultError("UNAVAILABLE", "The hub cannot be reached.", { cause });
      }
      if (!response.ok) {
        const report = errorReportSchema.safeParse(body);
        if (report.success) throw XVaultError.fromReport(report.data);
        throw new XVaultError("UNAVAILABLE", `The hub answered with status ${response.status}.`);
      }
      return workerProtocol[name].output.parse(body) as never;
    },

    async insist(name, input, signal) {
      let defects = 0;
      for (let wait = options.firstWaitMs ?? FIRST_WAIT; ; wait = Math.min(wait * 2, MAX_WAIT)) {
        try {
          return await client.call(name, input, signal);
        } catch (error) {
          if (!isXVaultError(error, "UNAVAILABLE", "INTERNAL", "RATE_LIMITED")) throw error;
          if (error.code === "INTERNAL" && (defects += 1) > MAX_DEFECTS) throw error;
          await sleep(wait, undefined, signal ? { signal } : {});
        }
      }
    },
  };
  return client;
}

/** Names and messages come from other people's servers; a NUL in one, which the hub's database cannot hold, must not silence a job. */
function withoutNul(_key: string, value: unknown): unknown {
  return typeof value === "string" && value.includes("\0") ? value.replaceAll("\0", "\uFFFD") : value;
}
