import { expect, it } from "vitest";
import { followingRun, nextRun, nextRuns } from "./cron.ts";

/** 23:58 and 0:00 are two minutes apart where the 30th is followed by a 31st; its next ten runs may not show it. */
const RARELY_CLOSE = "0,58 0,23 3,5,7,9,11,30,31 * *";
const at = (time: string) => new Date(time);
const refusal = (cron: string, from = "2026-06-02T00:00:00Z") => {
  try {
    return nextRun(cron, "UTC", at(from)) && "accepted";
  } catch (error) {
    return (error as { code: string }).code;
  }
};

it("judges a schedule by all of its runs, on whichever day it is made", () => {
  for (const day of ["02", "09", "12", "29"]) {
    expect(refusal(RARELY_CLOSE, `2026-06-${day}T12:00:00Z`)).toBe("SCHEDULE_TOO_FREQUENT");
  }
  // Close at the end of one month alone, and on a leap day alone.
  expect(refusal("0,58 0,23 30,31 1 *")).toBe("SCHEDULE_TOO_FREQUENT");
  expect(refusal("0,58 0,23 28,29 2 *", "2025-03-01T00:00:00Z")).toBe("SCHEDULE_TOO_FREQUENT");
});

it("refuses runs that are less than five minutes apart, and no others", () => {
  for (const often of ["* * * * *", "*/4 * * * *", "0,4 3 * * *", "58,2 * * * *", "2,58 0,23 * * *"]) {
    expect([often, refusal(often)]).toEqual([often, "SCHEDULE_TOO_FREQUENT"]);
  }
  const fine = ["*/5 * * * *", "@daily", "0 3 29 2 *", "57,2 * * * *", "0,58 0,23 2-30/2 * *", "0,58 0,23 13 * *"];
  for (const cron of fine) expect([cron, refusal(cron)]).toEqual([cron, "accepted"]);
  // Two minutes apart only on the night on which summer time begins.
  expect(nextRun("0,58 1,3 * * *", "Europe/Berlin", at("2026-03-28T22:00:00Z"))).toEqual(at("2026-03-29T00:00:00Z"));
});

it("refuses what is no expression, runs never or runs once", () => {
  for (const cron of ["every day", "0 3 * * * *", "0 0 31 2 *", "2027-01-01T03:00:00"]) {
    expect([cron, refusal(cron)]).toEqual([cron, "SCHEDULE_INVALID"]);
  }
  expect(() => nextRuns("0 3 * * *", "Europe/Nowhere", at("2026-06-02T00:00:00Z"), 3)).toThrow(/time zone/);
});

it("knows the next run of a schedule that is there, whatever would be refused by now", () => {
  expect(followingRun(RARELY_CLOSE, "UTC", at("2026-06-09T12:00:00Z"))).toEqual(at("2026-06-09T23:00:00Z"));
  expect(followingRun("* * * * *", "UTC", at("2026-06-09T12:00:30Z"))).toEqual(at("2026-06-09T12:01:00Z"));
  expect(followingRun("2027-01-01T03:00:00", "UTC", at("2027-01-01T03:00:00Z"))).toBeNull();
});
