import { errorReportSchema } from "@xvault/contracts";
import { isXVaultError, XVaultError } from "@xvault/kernel";
import { z } from "zod";

/** An error as hub and worker answer it (RFC 9457), as far as it is used here. */
const problemSchema = errorReportSchema.omit({ requestId: true }).extend({ request_id: z.string().optional() });

/** What was asked for, for messages. */
export interface Peer {
  /** 'hub' or 'worker'. */
  role: string;
  url: string;
}

/** A refusal as the other side worded it; its request id travels in `data.request_id`. */
export async function failureOf(response: Response, peer: Peer): Promise<XVaultError> {
  const location = response.headers.get("location");
  if (response.status >= 300 && response.status < 400 && location !== null) {
    await response.body?.cancel();
    return new XVaultError("CONFIG_INVALID", `The ${peer.role} at ${peer.url} sends callers on to ${location}.`, {
      fix: "Sign in with the address that it names: xvault login --url URL.",
    });
  }
  let value: unknown;
  try {
    value = JSON.parse(await response.text());
  } catch {
    value = null;
  }
  const parsed = problemSchema.safeParse(value);
  if (!parsed.success) return notOurs(peer, response.status);
  const { request_id, code, message, fix, retry, data } = parsed.data;
  return new XVaultError(code, message, { fix, retry, data: { ...data, ...(request_id ? { request_id } : {}) } });
}

export function notOurs(peer: Peer, status: number): XVaultError {
  return new XVaultError(
    "UNAVAILABLE",
    `What answers at ${peer.url} (status ${status}) is not an xVault ${peer.role}.`,
    {
      fix: "Check the address and what stands in front of it.",
    },
  );
}

/** A request that got no answer, told apart from one that was given up. */
export function unreachable(error: unknown, peer: Peer, signal?: AbortSignal): XVaultError {
  if (isXVaultError(error)) return error;
  if (signal?.aborted) return new XVaultError("CANCELLED", undefined, { cause: error });
  const reason = reasonOf(error);
  return new XVaultError(
    "UNAVAILABLE",
    `The ${peer.role} at ${peer.url} cannot be reached${reason ? ` (${reason})` : ""}.`,
    {
      fix:
        peer.role === "hub"
          ? "See that it runs and that the address is right: xvault login --url URL, or XVAULT_URL."
          : "See that the worker runs and can be reached from here.",
      cause: error,
    },
  );
}

function reasonOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const { cause } = error;
  const code = (cause as NodeJS.ErrnoException | undefined)?.code;
  if (typeof code === "string") return code;
  if (cause instanceof AggregateError) return (cause.errors[0] as NodeJS.ErrnoException | undefined)?.code;
  return error.name === "TimeoutError" ? "no answer in time" : undefined;
}
