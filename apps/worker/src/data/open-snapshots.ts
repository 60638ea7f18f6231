import type { ArtifactReader } from "@xvault/archive";
import type { TicketClaims, WorkerOutput } from "@xvault/contracts";
import { isXVaultError, XVaultError } from "@xvault/kernel";
import type { ObjectStore } from "@xvault/storage";
import type { WorkerContext } from "../context.ts";
import { checkStored, sealedHeaders, unseal } from "../jobs/unseal.ts";
import { openStore } from "../stores.ts";
import { type Held, Shelf } from "./shelf.ts";
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
/** The longest that a timer can wait. Milliseconds. */
const LONGEST_TIMER = 2 ** 31 - 1;

/** Gives work what a ticket opens, and keeps that open until the work is done. */
export type TicketDesk = <R>(ticket: string, work: (opened: OpenTicket) => Promise<R>) => Promise<R>;

/** What a ticket opened, with the storage's connections: closed once the ticket has run out and nobody reads any more. */
type Opened = OpenTicket & { expires: string; close(): void };

/**
 * Redeems tickets at the hub and keeps what they opened until they expire, so that browsing does not check the snapshot at every click. What
 * the hub did not sign never reaches it; a session that was revoked ends its tickets within a second (promise 39).
 */
export function createTicketDesk(context: WorkerContext): TicketDesk {
  const shelf = new Shelf<Opened>(MAX_OPEN);
  /** When the hub was asked last whether a ticket is good. */
  const askedAt = new WeakMap<Held<Opened>, number>();

  /** Asks whether a ticket that is open still is. A hub that is away does not end what it allowed. @throws TOKEN_*, SESSION_REVOKED */
  async function askAgain(text: string, held: Held<Opened>): Promise<void> {
    if (Date.now() - (askedAt.get(held) ?? 0) < BELIEVED) return;
    askedAt.set(held, Date.now());
    try {
      await context.hub.call("redeem", { ticket: text, sealed: null });
    } catch (error) {
      if (isXVaultError(error, "UNAVAILABLE", "INTERNAL", "RATE_LIMITED")) return;
      shelf.drop(text, held);
      throw error;
    }
  }

  async function redeem(ticket: string): Promise<Opened> {
    const first = await context.hub.call("redeem", { ticket, sealed: null });
    const { claims, filename, earlier, expires_at: expires } = first;
    const { store, close } = await openStore(context, first.storage, first.storage_secret);
    try {
      if (claims.kind === "raw") return { claims, filename, artifact: null, earlier, store, expires, close };
      const checked = await checkStored(context, store, claims);
      const sealed = sealedHeaders(checked);
      const second: WorkerOutput<"redeem"> = await context.hub.call("redeem", { ticket, sealed });
      if (!second.keys) throw new XVaultError("KEY_CUSTOMER_HELD");
      const artifact = await unseal(checked, second.keys, (one) =>
        context.hub.call("redeem_earlier", { ticket, sealed: one }),
      );
      return { claims, filename, artifact, earlier, store, expires, close };
    } catch (error) {
      close();
      throw error;
    }
  }

  function open(ticket: string): Held<Opened> {
    const held = shelf.put(ticket, redeem(ticket));
    askedAt.set(held, Date.now());
    held.opening.then(
      ({ expires }) => {
        const runsOut = Math.max(0, Date.parse(expires) - Date.now());
        setTimeout(() => shelf.drop(ticket, held), Math.min(runsOut, LONGEST_TIMER)).unref();
      },
      () => {}, // told to whoever uses it
    );
    return held;
  }

  return async (ticket, work) => {
    const known = shelf.get(ticket);
    if (known) {
      return shelf.use(known, async (opened) => {
        await askAgain(ticket, known);
        return work(opened);
      });
    }
    // Before a place is taken: what anybody can make up must not push out what others have open.
    await checkTicketSignature(context, ticket);
    return shelf.use(shelf.get(ticket) ?? open(ticket), work);
  };
}
