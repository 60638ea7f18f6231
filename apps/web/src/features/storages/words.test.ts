import { describe, expect, it } from "vitest";
import { LOCK_LOOKS, testLook } from "./words.ts";

const check = { id: "write", label: "Write a test object", message: "" };

describe("how a storage looks", () => {
  it("as locked only where a lock was seen to hold", () => {
    expect(LOCK_LOOKS.enforced).toMatchObject({ icon: "i-lucide-lock", color: "success" });
    for (const other of [LOCK_LOOKS.none, LOCK_LOOKS.unproven]) {
      expect(other.icon).not.toBe(LOCK_LOOKS.enforced.icon);
      expect(other.color).not.toBe("success");
      expect(other.word).not.toMatch(/enforced/i);
    }
  });

  it("as working only where no check failed", () => {
    expect(testLook({ test: null }).word).toBe("Not tested");
    const skipped = { ...check, id: "lock", status: "skipped" as const };
    expect(testLook({ test: [{ ...check, status: "ok" }, skipped] }).word).toBe("Works");
    expect(testLook({ test: [{ ...check, status: "failed" }, skipped] }).word).toBe("Test failed");
  });
});
