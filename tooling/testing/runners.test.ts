import { describe, expect, it } from "vitest";
import { outcomeOf } from "./runners.ts";

const GOOD = { title: "a", state: "passed", why: "" } as const;

describe("what a runner's tests make of a stage", () => {
  it("counts, and names skipped tests with their reasons", () => {
    const skip = { title: "b", state: "skipped", why: "sshd is not installed" } as const;
    expect(outcomeOf("runner", [GOOD, GOOD, skip], { code: 0, output: "" })).toMatchObject({
      state: "passed",
      counts: { passed: 2, failed: 0, skipped: 1 },
      skipped: ["b (sshd is not installed)"],
    });
  });

  it("fails on a failed test, and shows its message without colours", () => {
    const bad = { title: "c", state: "failed", why: "\u001b[31mexpected 1\u001b[39m" } as const;
    expect(outcomeOf("runner", [GOOD, bad], { code: 1, output: "" })).toMatchObject({
      state: "failed",
      counts: { passed: 1, failed: 1, skipped: 0 },
      details: "✗ c\n    expected 1",
    });
  });

  it("fails where the runner failed though every test passed, as with an error outside of tests", () => {
    const outcome = outcomeOf("runner", [GOOD], { code: 1, output: "Unhandled rejection: boom" });
    expect(outcome).toMatchObject({ state: "failed", counts: { passed: 1, failed: 1, skipped: 0 } });
    expect(outcome.details).toContain("Unhandled rejection: boom");
  });
});
