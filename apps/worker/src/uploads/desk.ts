import { isXVaultError, XVaultError } from "@xvault/kernel";
import type { WorkerContext } from "../context.ts";
import { checkTicketSignature } from "../data/ticket-signature.ts";
import { startSession, type UploadSession } from "./session.ts";

/** Packages that one worker takes at once: each holds a few frames in memory. */
const MAX_UPLOADS = 32;
/** How long a client may be silent before what it has sent is dropped, in milliseconds. */
const SILENCE = 10 * 60_000;
/** How long it is known how a session ended, for a client whose last answer was lost. Milliseconds. */
const REMEMBERED = 10 * 60_000;
/** How long a ticket is believed without asking the hub whether it is still good, in milliseconds. */
const BELIEVED = 1000;

/** Where clients that send packages are led to their sessions. */
export interface UploadDesk {
  /** The session of the package that a ticket is for; begun, if it has not. @throws TOKEN_*, SESSION_REVOKED, CONFLICT, RATE_LIMITED */
  sessionOf(ticket: string): Promise<UploadSession>;
  /** When no session is at work any more; for the end of the worker, which ends them. */
  ended(): Promise<void>;
}

interface Known {
  jobId: string;
  until: number;
  askedAt: number;
}

export function createUploadDesk(context: WorkerContext, stopping: AbortSignal): UploadDesk {
  /** By job. */
  const sessions = new Map<string, Promise<UploadSession>>();
  /** Sessions that are not over. */
  const working = new Set<UploadSession>();
  const tickets = new Map<string, Known>();

  async function jobOf(ticket: string): Promise<string> {
    const now = Date.now();
    for (const [text, { until }] of tickets) if (until < now) tickets.delete(text);
    const known = tickets.get(ticket);
    if (known && now - known.askedAt < BELIEVED) return known.jobId;
    await checkTicketSignature(context, ticket);
    try {
      const { job_id: jobId, expires_at: expires } = await context.hub.call("upload_ticket", { ticket });
      tickets.set(ticket, { jobId, until: Date.parse(expires), askedAt: now });
      return jobId;
    } catch (error) {
      // A hub that is away does not end what it allowed.
      if (known && isXVaultError(error, "UNAVAILABLE", "INTERNAL", "RATE_LIMITED")) return known.jobId;
      tickets.delete(ticket);
      throw error;
    }
  }

  async function begin(ticket: string, jobId: string): Promise<UploadSession> {
    if (stopping.aborted) throw new XVaultError("UNAVAILABLE", "This worker is being stopped.");
    if (working.size >= MAX_UPLOADS)
      throw new XVaultError("RATE_LIMITED", "This worker takes no more packages at once.");
    const lease = await context.hub.call("begin_upload", { ticket });
    const session = startSession(context, lease, { stopping, silenceMs: SILENCE });
    working.add(session);
    void session.ended.then((failure) => {
      working.delete(session);
      // What may be sent anew begins anew.
      if (failure && (failure.retry || failure.code === "LEASE_LOST" || stopping.aborted)) sessions.delete(jobId);
      else setTimeout(() => sessions.delete(jobId), REMEMBERED).unref();
    });
    return session;
  }

  return {
    async sessionOf(ticket) {
      const jobId = await jobOf(ticket);
      const known = sessions.get(jobId);
      if (known) return known;
      const starting = begin(ticket, jobId);
      sessions.set(jobId, starting);
      starting.catch(() => sessions.delete(jobId));
      return starting;
    },
    async ended() {
      await Promise.allSettled([...working].map((session) => session.ended));
    },
  };
}
