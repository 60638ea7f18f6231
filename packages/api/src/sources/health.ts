import type { Source } from "@xvault/contracts";

/** How long after its due time a missing run makes a source overdue, in milliseconds. */
export const OVERDUE_AFTER = 60 * 60_000;

interface Facts {
  state: "active" | "paused";
  lastSnapshot: { partial: boolean; createdAt: Date } | null;
  lastJobState: string | null;
  /** When its schedule last wanted a run, and when it wants the next; null without a schedule that is switched on. */
  lastRunAt: Date | null;
  nextRunAt: Date | null;
}

/** A source's health in one word. Partial is never 'protected'. */
export function sourceHealth(facts: Facts, now: Date): Source["health"] {
  if (facts.state === "paused") return "paused";
  if (facts.lastJobState === "failed") return "failed";
  if (isOverdue(facts, now)) return "overdue";
  if (!facts.lastSnapshot) return "unprotected";
  return facts.lastSnapshot.partial ? "warning" : "protected";
}

/** True when no hub was there to start the run that was due, or when it was started and has brought no snapshot: no worker takes it, say. */
function isOverdue({ lastSnapshot, lastJobState, lastRunAt, nextRunAt }: Facts, now: Date): boolean {
  const isLate = (at: Date) => now.getTime() - at.getTime() > OVERDUE_AFTER;
  if (nextRunAt && isLate(nextRunAt)) return true;
  if (!lastRunAt || !isLate(lastRunAt) || lastJobState === "running") return false;
  return !lastSnapshot || lastSnapshot.createdAt < lastRunAt;
}
