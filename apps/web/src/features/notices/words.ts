import type { Alert, Delivery, Subject, WantedEvent, Webhook } from "@xvault/contracts";
import type { StateLook } from "../../lib/states.ts";

/** Everything that a webhook can be told of, as it is offered. */
export const EVENT_GROUPS: { legend: string; items: { value: WantedEvent; label: string; description: string }[] }[] = [
  {
    legend: "Alerts",
    items: [
      { value: "alert.opened", label: "Alert opened", description: "Somebody should see to something" },
      { value: "alert.resolved", label: "Alert resolved", description: "By itself or by hand" },
    ],
  },
  {
    legend: "Backups",
    items: [
      { value: "backup.failed", label: "Backup failed", description: "In every attempt" },
      { value: "backup.warning", label: "Backup partial", description: "Something could not be read" },
      { value: "backup.succeeded", label: "Backup succeeded", description: "Every one of them" },
      { value: "backup.started", label: "Backup started", description: "Every one of them" },
    ],
  },
  {
    legend: "Sources",
    items: [
      { value: "source.overdue", label: "Source overdue", description: "Its backup was due and did not come" },
      {
        value: "source.host_key_changed",
        label: "Host key changed",
        description: "Its backups rest until you have looked",
      },
    ],
  },
  {
    legend: "Restores",
    items: [
      { value: "restore.finished", label: "Restore finished", description: "In full or in part" },
      { value: "restore.failed", label: "Restore failed", description: "In every attempt" },
    ],
  },
  {
    legend: "Checks and drills",
    items: [
      { value: "check.failed", label: "Check failed", description: "Stored bytes are not what they should be" },
      { value: "drill.failed", label: "Drill failed", description: "A trial restore did not work" },
      { value: "drill.passed", label: "Drill passed", description: "A trial restore worked" },
    ],
  },
  {
    legend: "Snapshots and packages",
    items: [
      { value: "snapshot.expired", label: "Snapshot expired", description: "Removed from storage" },
      { value: "copy.moved", label: "Copy moved", description: "A snapshot lies on another storage" },
      { value: "package.completed", label: "Package completed", description: "As an edge client says" },
      { value: "package.failed", label: "Package failed", description: "As an edge client says" },
    ],
  },
];

const LABELS = new Map<string, string>(EVENT_GROUPS.flatMap(({ items }) => items.map((one) => [one.value, one.label])));

/** An event in words. */
export function eventWord(event: string): string {
  return LABELS.get(event) ?? (event === "test" ? "Test" : event);
}

/** What a webhook is told of, in a few words. */
export function wantedWords(events: readonly WantedEvent[]): string {
  if (events.length === LABELS.size) return "Everything";
  const [first = "", second = "", ...more] = events.map(eventWord);
  if (more.length === 0) return [first, second].filter(Boolean).join(", ");
  return `${first}, ${second} and ${more.length} more`;
}

export const SEVERITIES: Record<Alert["severity"], StateLook> = {
  critical: { word: "Critical", icon: "i-lucide-octagon-alert", color: "error" },
  warning: { word: "Warning", icon: "i-lucide-triangle-alert", color: "warning" },
};
const RESOLVED: StateLook = { word: "Resolved", icon: "i-lucide-circle-check", color: "neutral" };

export function alertLook(alert: Pick<Alert, "severity" | "resolved_at">): StateLook {
  return alert.resolved_at === null ? SEVERITIES[alert.severity] : RESOLVED;
}

/** A delivery is on its way, waits for another try, has arrived, or never will. */
export function deliveryLook(delivery: Pick<Delivery, "state" | "attempts">): StateLook {
  if (delivery.state === "delivered") return { word: "Delivered", icon: "i-lucide-circle-check", color: "success" };
  if (delivery.state === "failed") return { word: "Failed", icon: "i-lucide-circle-x", color: "error" };
  if (delivery.attempts === 0) return { word: "Waiting", icon: "i-lucide-clock", color: "neutral" };
  return { word: "Retrying", icon: "i-lucide-rotate-cw", color: "warning" };
}

export function webhookLook(webhook: Pick<Webhook, "enabled" | "last_delivery">): StateLook {
  if (!webhook.enabled) return { word: "Switched off", icon: "i-lucide-circle-pause", color: "neutral" };
  if (webhook.last_delivery === null) return { word: "Nothing sent yet", icon: "i-lucide-clock", color: "neutral" };
  return deliveryLook({ state: webhook.last_delivery.state, attempts: 1 });
}

const PAGES: Record<string, { path: string; label: string }> = {
  source: { path: "/sources", label: "Open the source" },
  job: { path: "/jobs", label: "Open the job" },
  snapshot: { path: "/snapshots", label: "Open the snapshot" },
  webhook: { path: "/notifications/webhooks", label: "Open the webhook" },
};

/** The page of what an alert is about, where it has one. */
export function subjectPage(subject: Subject): { to: string; label: string } | null {
  const page = PAGES[subject.kind];
  return page ? { to: `${page.path}/${subject.id}`, label: page.label } : null;
}
