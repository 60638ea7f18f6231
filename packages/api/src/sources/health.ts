import type { Source } from "@xvault/contracts";

/** How long after its due time a missing run makes a source overdue, in milliseconds. */
const OVERDUE_AFTER = 60 * 60_000;

interface Facts {
  state: "active" | "paused";
  lastSnapshot: { partial: boolean } | null;
  lastJobState: string | null;
  nextRunAt: Date | null;
}

/** A source's health in one word. Partial is never 'protected'. */
export function sourceHealth(facts: Facts, now: Date): Source["health"] {
  if (facts.state === "paused") return "paused";
  if (facts.lastJobState === "failed") return "failed";
  if (!facts.lastSnapshot) return "unprotected";
  if (facts.nextRunAt && now.getTime() - facts.nextRunAt.getTime() > OVERDUE_AFTER) return "overdue";
  return facts.lastSnapshot.partial ? "warning" : "protected";
}
