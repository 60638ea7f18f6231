import type { ArtifactReader } from "@xvault/archive";
import type { TicketClaims, WorkerOutput } from "@xvault/contracts";
import { XVaultError } from "@xvault/kernel";
import type { WorkerContext } from "../context.ts";
import { checkStored, sealedHeaders, unseal } from "../jobs/unseal.ts";

/** A ticket that was redeemed: what it allows, and the snapshot opened for it (not for 'raw', which reads the objects as they lie). */
export interface OpenTicket {
  claims: TicketClaims;
  filename: string;
  artifact: ArtifactReader | null;
}

const MAX_OPEN = 64;

/** Redeems tickets at the hub and keeps what they opened until they expire, so that browsing does not check the snapshot at every click. */
export function createTicketDesk(context: WorkerContext): (ticket: string) => Promise<OpenTicket> {
  const open = new Map<string, { until: number; ticket: Promise<OpenTicket> }>();

  async function redeem(ticket: string): Promise<OpenTicket & { expires: string }> {
    const first = await context.hub.call("redeem", { ticket, sealed: null });
    const { claims, filename, expires_at: expires } = first;
    if (claims.kind === "raw") return { claims, filename, artifact: null, expires };
    const checked = await checkStored(context, claims);
    const second: WorkerOutput<"redeem"> = await context.hub.call("redeem", { ticket, sealed: sealedHeaders(checked) });
    if (!second.keys) throw new XVaultError("KEY_CUSTOMER_HELD");
    return { claims, filename, artifact: await unseal(checked, second.keys), expires };
  }

  return (ticket) => {
    const now = Date.now();
    for (const [key, entry] of open) if (entry.until < now) open.delete(key);
    const known = open.get(ticket);
    if (known) return known.ticket;
    const oldest = open.keys().next();
    if (open.size >= MAX_OPEN && !oldest.done) open.delete(oldest.value);
    // Until the answer tells how long it lives, it lives as long as it takes to answer.
    const entry = { until: now + 60_000, ticket: redeem(ticket) as Promise<OpenTicket> };
    open.set(ticket, entry);
    entry.ticket.then(
      (redeemed) => {
        entry.until = Date.parse((redeemed as OpenTicket & { expires: string }).expires);
      },
      () => open.delete(ticket),
    );
    return entry.ticket;
  };
}
