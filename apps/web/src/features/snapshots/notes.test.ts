import { describe, expect, it } from "vitest";
import { referencesInWords } from "./notes.ts";

const reference = (live_bytes: number) => ({ snapshot_id: "x", manifest_sha256: "x", live_bytes });

describe("what a snapshot rests on, in words", () => {
  it("nothing but itself", () => expect(referencesInWords([])).toBe(""));

  it("one earlier snapshot, or several with the sum of what they hold for it", () => {
    expect(referencesInWords([reference(1024)])).toMatch(/1.00 KiB of them lie in one earlier snapshot, which stays/);
    expect(referencesInWords([reference(1024), reference(2048)])).toMatch(
      /3.00 KiB of them lie in 2 earlier snapshots/,
    );
  });
});
