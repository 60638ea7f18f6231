import type { Job, Snapshot, Source, Worker } from "@xvault/contracts";

/** How a state looks: never by colour alone, always with an icon and a word. */
export interface StateLook {
  word: string;
  icon: string;
  color: "success" | "warning" | "error" | "info" | "neutral" | "primary";
  /** Something is going on: the icon turns. */
  busy?: boolean;
}

export const JOB_STATES: Record<Job["state"], StateLook> = {
  queued: { word: "Queued", icon: "i-lucide-clock", color: "neutral" },
  running: { word: "Running", icon: "i-lucide-loader-circle", color: "info", busy: true },
  success: { word: "Success", icon: "i-lucide-circle-check", color: "success" },
  warning: { word: "Warning", icon: "i-lucide-triangle-alert", color: "warning" },
  failed: { word: "Failed", icon: "i-lucide-circle-x", color: "error" },
  cancelled: { word: "Cancelled", icon: "i-lucide-ban", color: "neutral" },
};

/** The states as a filter's choices. */
export const JOB_STATE_ITEMS = Object.entries(JOB_STATES).map(([value, { word }]) => ({ value, label: word }));

export const SOURCE_HEALTH: Record<Source["health"], StateLook> = {
  protected: { word: "Protected", icon: "i-lucide-shield-check", color: "success" },
  warning: { word: "Partly protected", icon: "i-lucide-triangle-alert", color: "warning" },
  failed: { word: "Last backup failed", icon: "i-lucide-circle-x", color: "error" },
  overdue: { word: "Overdue", icon: "i-lucide-clock-alert", color: "warning" },
  unprotected: { word: "No backup yet", icon: "i-lucide-shield-off", color: "neutral" },
  paused: { word: "Paused", icon: "i-lucide-circle-pause", color: "neutral" },
};

export const WORKER_STATES: Record<Worker["state"], StateLook> = {
  online: { word: "Online", icon: "i-lucide-circle-check", color: "success" },
  offline: { word: "Offline", icon: "i-lucide-unplug", color: "error" },
  draining: { word: "Draining", icon: "i-lucide-hourglass", color: "warning" },
  revoked: { word: "Revoked", icon: "i-lucide-ban", color: "neutral" },
};

/** A snapshot is complete, partial (never green), damaged wherever it lies, removed, lost, or there without a worker that could read it. */
export function snapshotLook(snapshot: Pick<Snapshot, "state" | "partial" | "reachable" | "copies">): StateLook {
  if (snapshot.state === "lost") return { word: "Lost", icon: "i-lucide-circle-x", color: "error" };
  if (snapshot.state === "expired") return { word: "Removed", icon: "i-lucide-archive-x", color: "neutral" };
  if (!snapshot.reachable) return { word: "Out of reach", icon: "i-lucide-unplug", color: "error" };
  if (snapshot.copies === 0) return { word: "Damaged", icon: "i-lucide-triangle-alert", color: "error" };
  if (snapshot.partial) return { word: "Partial", icon: "i-lucide-triangle-alert", color: "warning" };
  return { word: "Complete", icon: "i-lucide-circle-check", color: "success" };
}

/** What keeps a snapshot whatever the rules say. */
export function keptLooks(snapshot: Pick<Snapshot, "pinned" | "held_until">): StateLook[] {
  const looks: StateLook[] = [];
  if (snapshot.pinned) looks.push({ word: "Pinned", icon: "i-lucide-pin", color: "primary" });
  if (snapshot.held_until && new Date(snapshot.held_until) > new Date()) {
    const day = new Date(snapshot.held_until).toLocaleDateString(undefined, { dateStyle: "medium" });
    looks.push({ word: `On hold until ${day}`, icon: "i-lucide-lock", color: "primary" });
  }
  return looks;
}
