import { XVaultError } from "@xvault/kernel";
import type { Request } from "express";
import type { RequestContext } from "../context.ts";
import type { HeldKey, IdempotencyKeys, StoredAnswer } from "../idempotency/service.ts";
import { describeError } from "../trpc.ts";
import { problemOf } from "./problem.ts";

/** Thrown in place of carrying a call out: it was answered before. */
class Replay extends Error {
  readonly answer: StoredAnswer;
  constructor(answer: StoredAnswer) {
    super("this call was answered before");
    this.answer = answer;
  }
}

/**
 * Carries a POST with an `Idempotency-Key` out once. The key is looked up after it is known that the caller may do this. Kept are answers,
 * and refusals that the same request would meet again once it has been understood; what may pass (500 and above, 'retry') is tried anew.
 *
 * @throws INPUT_INVALID for a key that is none; CONFLICT, IDEMPOTENCY_KEY_REUSED
 */
export async function once(
  keys: IdempotencyKeys,
  req: Request,
  ctx: RequestContext,
  work: () => Promise<unknown>,
): Promise<StoredAnswer & { replayed: boolean }> {
  const key = req.method === "POST" ? keyOf(req) : null;
  let held: HeldKey | null = null;
  if (key !== null) {
    ctx.begin = async ({ actor }) => {
      const request = `${req.method} ${req.path}\n${JSON.stringify(req.body ?? {})}`;
      const found = await keys.take({ tenantId: actor.workspace.id, callerId: actor.credentialId, key, request });
      if ("status" in found) throw new Replay(found);
      held = found;
    };
  }
  const settle = async (work: (held: HeldKey) => Promise<void>) => {
    if (held !== null) await work(held);
  };
  try {
    const body = await work();
    await settle((mine) => mine.keep({ status: 200, body }));
    return { status: 200, body, replayed: false };
  } catch (error) {
    if (error instanceof Error && error.cause instanceof Replay) return { ...error.cause.answer, replayed: true };
    const { report, status } = describeError(error, ctx.requestId);
    const stays = status < 500 && status !== 400 && !report.retry;
    await settle((mine) => (stays ? mine.keep({ status, body: problemOf(error, ctx.requestId) }) : mine.release()));
    throw error;
  }
}

/** The key as it stands, or in the quotes that draft-ietf-httpapi-idempotency-key-header gives it; null where there is none. */
function keyOf(req: Request): string | null {
  const given = req.get("idempotency-key");
  if (given === undefined) return null;
  const key = /^"?([\x20\x21\x23-\x7e]{1,255})"?$/.exec(given.trim())?.[1];
  if (key === undefined) {
    throw new XVaultError("INPUT_INVALID", "An Idempotency-Key has 1 to 255 printable ASCII characters.");
  }
  return key;
}
