import { EVENTS } from "@xvault/contracts";
import { describe, expect, it } from "vitest";
import { alertLook, deliveryLook, EVENT_GROUPS, eventWord, subjectPage, wantedWords, webhookLook } from "./words.ts";

describe("events", () => {
  it("are all offered, each once, but for the test", () => {
    const offered = EVENT_GROUPS.flatMap(({ items }) => items.map(({ value }) => value));
    expect([...offered, "test"].toSorted()).toEqual([...EVENTS].toSorted());
  });

  it("are told in a few words", () => {
    expect(eventWord("test")).toBe("Test");
    expect(wantedWords(["backup.failed"])).toBe("Backup failed");
    expect(wantedWords(["backup.failed", "source.overdue"])).toBe("Backup failed, Source overdue");
    expect(wantedWords(["backup.failed", "source.overdue", "alert.opened"])).toBe(
      "Backup failed, Source overdue and 1 more",
    );
    expect(wantedWords(EVENT_GROUPS.flatMap(({ items }) => items.map(({ value }) => value)))).toBe("Everything");
  });
});

it("what has not arrived is never shown as if it had", () => {
  const words = (["pending", "delivered", "failed"] as const).map((state) => deliveryLook({ state, attempts: 1 }).word);
  expect(words).toEqual(["Retrying", "Delivered", "Failed"]);
  const last_delivery = { state: "failed" as const, status_code: 500, at: "2026-01-01T00:00:00Z" };
  expect(webhookLook({ enabled: true, last_delivery }).word).toBe("Failed");
  expect(webhookLook({ enabled: false, last_delivery }).word).toBe("Switched off");
  expect(alertLook({ severity: "critical", resolved_at: null }).word).toBe("Critical");
  expect(alertLook({ severity: "critical", resolved_at: "2026-01-01T00:00:00Z" }).word).toBe("Resolved");
});

it("an alert leads to the page of its subject, where there is one", () => {
  expect(subjectPage({ kind: "source", id: "a" })).toEqual({ to: "/sources/a", label: "Open the source" });
  expect(subjectPage({ kind: "worker", id: "a" })).toBeNull();
});
