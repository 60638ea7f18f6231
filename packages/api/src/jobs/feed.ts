import type { Database } from "@xvault/db";

const CHANNEL = "xvault_job";

/**
 * News of jobs, across all hubs: whoever changes a job announces its id, whoever shows one waits for it. Carries ids alone; readers look
 * the job up under their own tenant.
 */
export interface JobFeed {
  announce(jobId: string): void;
  /** Calls back at every change of one job until the returned function is called. */
  subscribe(jobId: string, onChange: () => void): () => void;
  close(): Promise<void>;
}

export async function createJobFeed(db: Database): Promise<JobFeed> {
  const listeners = new Map<string, Set<() => void>>();
  const stop = await db.listen(CHANNEL, (jobId) => {
    for (const listener of listeners.get(jobId) ?? []) listener();
  });
  return {
    // A lost notice only delays a view until its next look; the database holds the truth.
    announce: (jobId) => void db.notify(CHANNEL, jobId).catch(() => {}),
    subscribe: (jobId, onChange) => {
      const set = listeners.get(jobId) ?? new Set();
      listeners.set(jobId, set.add(onChange));
      return () => {
        set.delete(onChange);
        if (set.size === 0) listeners.delete(jobId);
      };
    },
    close: stop,
  };
}

/** Resolves at the job's next change, after `timeoutMs`, or when `signal` aborts, whichever is first. */
export function nextChange(
  feed: JobFeed,
  jobId: string,
  timeoutMs: number,
  signal?: AbortSignal,
): { changed: Promise<void>; stop(): void } {
  let stop = () => {};
  const changed = new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, timeoutMs);
    const unsubscribe = feed.subscribe(jobId, resolve);
    signal?.addEventListener("abort", () => resolve(), { once: true });
    stop = () => {
      clearTimeout(timer);
      unsubscribe();
      resolve();
    };
  });
  return { changed, stop };
}
