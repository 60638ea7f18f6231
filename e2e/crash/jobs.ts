import { setTimeout as sleep } from "node:timers/promises";
import type { World } from "./world.ts";

export interface JobState {
  id: string;
  state: string;
  attempt: number;
  step: string | null;
  code: string | null;
  heartbeat: string | null;
  snapshot: string | null;
}

/** Waits until `probe` gives something truthy. Failures of the probe count as not yet: what it asks may be away. */
export async function waitFor<T>(
  what: string,
  probe: () => Promise<T> | T,
  options: { signal?: AbortSignal; limitMs?: number } = {},
): Promise<NonNullable<T>> {
  const end = performance.now() + (options.limitMs ?? 180_000);
  let trouble: unknown;
  for (;;) {
    options.signal?.throwIfAborted();
    try {
      const value = await probe();
      if (value) return value;
    } catch (error) {
      trouble = error;
    }
    if (performance.now() > end) throw new Error(`waited too long: ${what}`, { cause: trouble });
    await sleep(25);
  }
}

/** A job as its row says. */
export async function readJob({ stack }: World, id: string): Promise<JobState> {
  const rows = await stack.sql`
    select id, state, attempt, progress->>'step' as step, error->>'code' as code,
           heartbeat_at::text as heartbeat, snapshot_id as snapshot
    from jobs where id = ${id}`;
  const [row] = rows as unknown as JobState[];
  if (!row) throw new Error(`there is no job ${id}`);
  return row;
}

export function isOver({ state }: JobState): boolean {
  return state !== "queued" && state !== "running";
}

/**
 * Lets the time pass that a job waits for: its next attempt, and the lease of an attempt whose worker is known to be dead. Both are times in
 * its row alone.
 */
async function hurry({ stack }: World, id: string, deadAttempt: number | null): Promise<void> {
  await stack.sql`update jobs set run_after = now() where id = ${id} and state = 'queued' and run_after > now()`;
  if (deadAttempt === null) return;
  await stack.sql`
    update jobs set lease_expires_at = now() - interval '1 hour'
    where id = ${id} and state = 'running' and attempt = ${deadAttempt} and lease_expires_at > now()`;
}

/** Waits for a job's end, in a hurry. */
export function ended(world: World, id: string, deadAttempt: number | null = null): Promise<JobState> {
  return waitFor(`the end of job ${id}`, async () => {
    await hurry(world, id, deadAttempt);
    const job = await readJob(world, id);
    return isOver(job) ? job : null;
  });
}
