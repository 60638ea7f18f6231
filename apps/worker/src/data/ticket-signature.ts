import { verifyToken } from "@xvault/crypto";
import type { WorkerContext } from "../context.ts";

/** Seconds by which the clocks of hub and worker may differ. */
const CLOCKS_APART = 300;

/** Whether the hub signed a ticket. What it did not sign never reaches it. @throws TOKEN_* */
export async function checkTicketSignature(context: WorkerContext, ticket: string): Promise<void> {
  const keys = context.standing().ticket_keys;
  await verifyToken(ticket, {
    audience: "xvault-data",
    issuer: "xvault-hub",
    keys: (kid) => (Object.hasOwn(keys, kid) ? keys[kid] : undefined),
    // The hub's clock may differ from ours; it looks at the expiry itself.
    toleranceSeconds: CLOCKS_APART,
  });
}
