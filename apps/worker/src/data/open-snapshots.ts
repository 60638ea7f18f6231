import type { ArtifactReader } from "@xvault/archive";
import type { TicketClaims, WorkerOutput } from "@xvault/contracts";
import { isXVaultError, XVaultError } from "@xvault/kernel";
import type { ObjectStore } from "@xvault/storage";
import type { WorkerContext } from "../context.ts";
import { checkStored, sealedHeaders, unseal } from "../jobs/unseal.ts";
import { openStore } from "../stores.ts";
import { checkTicketSignature } from "./ticket-signature.ts";

/** A ticket that was redeemed: what it allows, and the snapshot opened for it (not for 'raw', which reads the objects as they lie). */
export interface OpenTicket {
  claims: TicketClaims;
  filename: string;
  artifact: ArtifactReader | null;
  /** Earlier snapshots that it refers to. */
  earlier: string[];
  /** Where the snapshot is read. */
  store: ObjectStore;
}

const MAX_OPEN = 64;
/** How long a ticket is believed without asking the hub whether its session still lives, in milliseconds. */
const BELIEVED = 1000;

interface Entry {
  until: number;
  /** When the hub was asked last whether it is good. */
  askedAt: number;
  ticket: Promise<OpenTicket>;
}

/**
 * Redeems tickets at the hub and keeps what they opened until they expire, so that browsing does not check the snapshot at every click. What
 * the hub did not sign never reaches it; a session that was revoked ends its tickets within a second (promise 39).
 */
export function createTicketDesk(context: WorkerContext): (ticket: string) => Promise<OpenTicket> {
  const open = new Map<string, Entry>();

  /** Asks whether a ticket that is open still is. A hub that is away does not end what it allowed. @throws TOKEN_*, SESSION_REVOKED */
  async function askAgain(text: string, entry: Entry): Promise<void> {
    if (Date.now() - entry.askedAt < BELIEVED) return;
    entry.askedAt = Date.now();
    try {
      await context.hub.call("redeem", { ticket: text, sealed: null });
    } catch (error) {
      if (isXVaultError(error, "UNAVAILABLE", "INTERNAL", "RATE_LIMITED")) return;
      if (open.get(text) === entry) open.delete(text);
      throw error;
    }
  }

  async function redeem(ticket: string): Promise<OpenTicket & { expires: string }> {
    const first = await context.hub.call("redeem", { ticket, sealed: null });
    const { claims, filename, earlier, expires_at: expires } = first;
    const { store } = await openStore(context, first.storage, first.storage_secret);
    if (claims.kind === "raw") return { claims, filename, artifact: null, earlier, store, expires };
    const checked = await checkStored(context, store, claims);
    const second: WorkerOutput<"redeem"> = await context.hub.call("redeem", { ticket, sealed: sealedHeaders(checked) });
    if (!second.keys) throw new XVaultError("KEY_CUSTOMER_HELD");
    const artifact = await unseal(checked, second.keys, (sealed) =>
      context.hub.call("redeem_earlier", { ticket, sealed }),
    );
    return { claims, filename, artifact, earlier, store, expires };
  }

  return async (ticket) => {
    const now = Date.now();
    for (const [key, entry] of open) if (entry.until < now) open.delete(key);
    const known = open.get(ticket);
    if (known) {
      const opened = await known.ticket;
      await askAgain(ticket, known);
      return opened;
    }
    // Before a place is taken: what anybody can make up must not push out what others have open.
    await checkTicketSignature(context, ticket);
    const meanwhile = open.get(ticket);
    if (meanwhile) return meanwhile.ticket;
    const oldest = open.keys().next();
    if (open.size >= MAX_OPEN && !oldest.done) open.delete(oldest.value);
    // Until the answer tells how long it lives, it lives as long as it takes to answer.
    const redeeming = redeem(ticket);
    const entry: Entry = { until: now + 60_000, askedAt: now, ticket: redeeming };
    open.set(ticket, entry);
    redeeming.then(
      ({ expires }) => {
        entry.until = Date.parse(expires);
      },
      () => {
        if (open.get(ticket) === entry) open.delete(ticket);
      },
    );
    return redeeming;
  };
}
