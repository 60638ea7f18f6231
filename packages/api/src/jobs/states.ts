import type { JobState } from "@xvault/contracts";

/** True for the states that a job never leaves. */
export function isFinal(state: JobState): boolean {
  return state !== "queued" && state !== "running";
}

/** Kinds of jobs that touch a source's data: of one source, only one runs at a time. */
export const SERIALIZED_TYPES = ["backup", "restore", "transfer", "expire", "audit_archive"] as const;

/** Kinds that answer somebody who waits at a screen. */
export const INTERACTIVE_TYPES = ["preflight", "browse", "probe", "quote", "storage_test"] as const;

/** A job that no worker does: an edge client works on it and says how far it is. */
export const EDGE_TYPE = "ingest";

/** Seconds that a lease lasts without a heartbeat. */
export const LEASE_SECONDS = 60;

/** Wait before the next attempt, in milliseconds: 15 s, 60 s, 4 min, … with a third of jitter, so that jobs do not return in step. */
export function backoffMs(attempt: number, random: () => number = Math.random): number {
  const base = Math.min(15_000 * 4 ** (attempt - 1), 60 * 60_000);
  return Math.round(base * (1 + random() / 3));
}

/** The longest that {@link backoffMs} may give after `attempt` attempts; nothing before the first one. */
export function longestBackoffMs(attempt: number): number {
  return attempt < 1 ? 0 : backoffMs(attempt, () => 1);
}
