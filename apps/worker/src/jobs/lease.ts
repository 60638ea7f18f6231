import type { ReportLog } from "@xvault/engine";
import { isXVaultError, XVaultError } from "@xvault/kernel";
import type { HubClient } from "../hub-client.ts";

/** How often progress is told while there is any, and how often the lease is renewed in any case. Milliseconds. */
const TELL = 1000;
const RENEW = 10_000;
const MAX_EVENTS = 500;

export interface LeaseKeeper {
  signal: AbortSignal;
  /** Ends the heartbeats; resolves when none is under way. */
  stop(): Promise<void>;
}

/**
 * Renews a lease while a job runs and tells the hub how it goes. Aborts the job when the hub says that it was cancelled or that another
 * attempt has it. A hub that is away does not stop a job: an expired lease still counts until a higher attempt is granted.
 */
export function keepLease(
  hub: HubClient,
  held: { job_id: string; attempt: number },
  report: ReportLog,
  stopping: AbortSignal,
): LeaseKeeper {
  const aborter = new AbortController();
  let stopped = false;
  let told = "";
  let toldAt = 0;
  let unsent: ReturnType<ReportLog["takeEvents"]> = [];
  let beating: Promise<void> = Promise.resolve();

  const beat = async () => {
    unsent.push(...report.takeEvents());
    const progress = report.progress();
    const text = JSON.stringify(progress);
    if (text === told && unsent.length === 0 && Date.now() - toldAt < RENEW) return;
    const events = unsent.slice(0, MAX_EVENTS);
    try {
      const { cancel } = await hub.call("heartbeat", { ...held, progress, events });
      unsent = unsent.slice(events.length);
      told = text;
      toldAt = Date.now();
      if (cancel) aborter.abort(new XVaultError("CANCELLED"));
    } catch (error) {
      if (isXVaultError(error, "LEASE_LOST", "WORKER_REVOKED")) aborter.abort(error);
    }
  };

  const timer = setInterval(() => {
    beating = beating.then(() => (stopped ? undefined : beat()));
  }, TELL);

  return {
    signal: AbortSignal.any([aborter.signal, stopping]),
    async stop() {
      clearInterval(timer);
      await beating;
      if (!stopped) {
        // What was logged at the very end goes along with the completion, in its order.
        stopped = true;
        const rest = [...unsent, ...report.takeEvents()];
        unsent = [];
        while (rest.length > 0) {
          await hub
            .call("heartbeat", { ...held, progress: report.progress(), events: rest.splice(0, MAX_EVENTS) })
            .catch(() => {});
        }
      }
    },
  };
}
