import { describe, expect, it } from "vitest";
import { stepStates } from "./step-states.ts";

const shown = (type: "backup" | "restore", state: Parameters<typeof stepStates>[0]["state"], step: string | null) =>
  Object.fromEntries(stepStates({ type, state }, step).map((one) => [one.step, one.state]));

describe("the steps of a job", () => {
  it("wait before the job runs", () => {
    expect(new Set(Object.values(shown("backup", "queued", null)))).toEqual(new Set(["waiting"]));
  });

  it("are active together from pull to store", () => {
    const states = shown("backup", "running", "pull");
    expect(states).toMatchObject({ connect: "done", list: "done", pull: "active", store: "active", verify: "waiting" });
  });

  it("show where a job failed, and nothing done after it", () => {
    const states = shown("backup", "failed", "pull");
    expect(states).toMatchObject({
      list: "done",
      pull: "failed",
      pack: "skipped",
      store: "skipped",
      publish: "skipped",
    });
    expect(shown("restore", "failed", null)).toMatchObject({ check: "failed", write: "skipped" });
  });

  it("are all done when the job is", () => {
    expect(new Set(Object.values(shown("restore", "warning", "finish")))).toEqual(new Set(["done"]));
  });
});
