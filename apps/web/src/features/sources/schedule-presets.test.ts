import { describe, expect, it } from "vitest";
import { cronOf, formOf, scheduleInWords } from "./schedule-presets.ts";

describe("schedule presets", () => {
  it.each(["0 * * * *", "30 2 * * *", "5 23 * * 1", "*/20 1-5 * * *"])(
    "shows %s and writes it back unchanged",
    (cron) => {
      expect(cronOf(formOf(cron))).toBe(cron);
    },
  );

  it("shows no schedule as none", () => {
    expect(formOf(null).preset).toBe("none");
    expect(cronOf(formOf(null))).toBeNull();
  });

  it("speaks in words where it can and in cron where it must", () => {
    const timezone = "Europe/Rome";
    expect(scheduleInWords({ cron: "0 * * * *", timezone })).toBe("Every hour");
    expect(scheduleInWords({ cron: "5 3 * * *", timezone })).toBe("Every day at 03:05 (Europe/Rome)");
    expect(scheduleInWords({ cron: "0 4 * * 6", timezone })).toBe("Every Saturday at 04:00 (Europe/Rome)");
    expect(scheduleInWords({ cron: "0 4 1 * *", timezone })).toBe("0 4 1 * * (Europe/Rome)");
  });
});
