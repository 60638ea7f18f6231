import { describe, expect, it } from "vitest";
import { planInWords } from "./target.ts";

const plan = {
  everything: false,
  entries: 2,
  snapshotLabel: "web-01 · 0198f",
  target: { name: "web-02" },
  path: "/srv/back",
  overwrite: "never",
} as const;

describe("the plan of a restore in words", () => {
  it("says what goes where, and what happens to existing files", () => {
    const [what, kept] = planInWords(plan);
    expect(what).toBe("2 entries of web-01 · 0198f will be written to web-02, below /srv/back.");
    expect(kept).toContain("stay as they are");
  });

  it("says plainly when original places are written to and files are replaced", () => {
    const [what, kept] = planInWords({ ...plan, everything: true, path: "/", overwrite: "always" });
    expect(what).toBe("All files of web-01 · 0198f will be written to web-02, in their original places.");
    expect(kept).toContain("are replaced");
  });
});
