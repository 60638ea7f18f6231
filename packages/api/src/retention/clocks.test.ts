import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DAY } from "./ages.ts";
import { judgeClocks, type Readings } from "./clocks.ts";

const NOW = new Date("2026-06-15T12:00:00Z");
const at = (days: number) => new Date(NOW.getTime() + days * DAY);
const MINUTE = 60_000;
const even: Readings = {
  now: NOW,
  database: NOW,
  newest: at(-0.1),
  last: { at: new Date(NOW.getTime() - 5 * MINUTE), steadyMs: 5 * MINUTE },
};

describe("clocks that cannot be trusted with ages (promise 28)", () => {
  it.each<[string, Partial<Readings>]>([
    ["the hub's is a year ahead of the database's", { database: at(-365) }],
    ["the hub's is a year behind it", { database: at(365) }],
    ["both jumped a year ahead", { last: { at: at(-365), steadyMs: 5 * MINUTE } }],
    ["both jumped a day and an hour ahead", { last: { at: at(-1 - 1 / 24), steadyMs: 5 * MINUTE } }],
    ["both jumped a year back", { last: { at: at(365), steadyMs: 5 * MINUTE } }],
    ["a hub that starts finds that the last turn was long ago", { last: { at: at(-40), steadyMs: null } }],
    ["rows are there from the future", { newest: at(365) }],
  ])("%s", (_, change) => {
    expect(judgeClocks({ ...even, ...change }, null)).toMatchObject({ since: NOW, until: at(1) });
  });

  it("run evenly otherwise, also where a turn took hours or none was before", () => {
    expect(judgeClocks(even, null)).toBeNull();
    expect(judgeClocks({ ...even, last: { at: at(-3), steadyMs: 3 * DAY } }, null)).toBeNull();
    expect(judgeClocks({ ...even, last: null, newest: null }, null)).toBeNull();
    expect(judgeClocks({ ...even, database: at(0.9), newest: at(0.9) }, null)).toBeNull();
  });

  it("are trusted again once they have run evenly for a day, and not before", () => {
    const rest = { since: at(-0.5), until: at(0.5), reason: "x" };
    expect(judgeClocks(even, rest)).toEqual(rest);
    expect(judgeClocks({ ...even, now: at(0.5), database: at(0.5), last: null }, rest)).toBeNull();
  });

  it("are trusted again once a clock that was a year ahead is right", () => {
    expect(judgeClocks({ ...even, last: null }, { since: at(365), until: at(366), reason: "x" })).toBeNull();
  });

  it("whatever a jump, the turn that sees it rests", () => {
    const days = fc.double({ min: 1.01, max: 4000, noNaN: true });
    fc.assert(
      fc.property(days, fc.boolean(), (size, ahead) => {
        const last = { at: at(ahead ? -size : size), steadyMs: 5 * MINUTE };
        expect(judgeClocks({ ...even, last, newest: null }, null)).not.toBeNull();
      }),
    );
  });
});
