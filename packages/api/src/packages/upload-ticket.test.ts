import { generateSigningKey, signToken } from "@xvault/crypto";
import { describe, expect, it } from "vitest";
import { redeemUploadTicket } from "./upload-ticket.ts";

const WORKER = "01a22418-d983-7cea-bb42-347a0db8e458";
const JOB = "01a22418-d983-7cea-bb42-347a0db8e459";

describe("tickets for sending packages", () => {
  const key = generateSigningKey();
  const asked: string[] = [];
  const deps = {
    platformKeys: { jwtPublicKeys: { k1: key.publicKey } },
    db: {
      // Whoever comes so far has shown a ticket that is good: what the person may is looked up next.
      withSystem: () => {
        asked.push("the person");
        return Promise.resolve();
      },
    },
    clock: { now: () => new Date() },
  } as unknown as Parameters<typeof redeemUploadTicket>[0];

  const ticket = (claims: Record<string, unknown>, expiresInSeconds = 60) =>
    signToken({
      claims: {
        kind: "upload",
        tenant_id: JOB,
        job_id: JOB,
        worker_id: WORKER,
        bearer: { user_id: "u", credential_kind: "token", credential_id: "t" },
        ...claims,
      },
      audience: "xvault-data",
      issuer: "xvault-hub",
      subject: JOB,
      expiresInSeconds,
      keyId: "k1",
      privateKey: key.privateKey,
    });

  it("are good until they expire, at their worker, for their use", async () => {
    const redeemed = await redeemUploadTicket(deps, await ticket({}), WORKER);
    expect(redeemed).toMatchObject({ jobId: JOB, tenantId: JOB });
    expect(asked).toHaveLength(1);
    const refused: [string, Promise<string>, string][] = [
      ["expired", ticket({}, -1), WORKER],
      ["for another worker", ticket({}), JOB],
      ["for browsing", ticket({ kind: "browse" }), WORKER],
    ];
    const codes = [];
    for (const [, text, worker] of refused) {
      codes.push(await redeemUploadTicket(deps, await text, worker).catch((error: { code: string }) => error.code));
    }
    expect(codes).toEqual(["TOKEN_EXPIRED", "TOKEN_INVALID", "TOKEN_INVALID"]);
    expect(asked).toHaveLength(1);
  });
});
