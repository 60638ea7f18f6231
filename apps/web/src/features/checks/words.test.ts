import { expect, test } from "vitest";
import { objectiveLook, recoveryInWords, resultInWords } from "./words.ts";

const at = "2026-01-01T00:00:00Z";

test("a check's result is told in words, with its confidence", () => {
  expect(resultInWords(null)).toBe("Read back when it was written");
  expect(resultInWords({ outcome: "ok", at, depth: "sample", confidence: 0.999, lost_below: 0.001 })).toBe(
    "99.9 % sure that less than 0.1 % is lost",
  );
  expect(resultInWords({ outcome: "ok", at, depth: "sample", confidence: 1, lost_below: 0 })).toBe(
    "Certain that nothing is lost",
  );
  expect(resultInWords({ outcome: "ok", at, depth: "presence", bytes: 1024 })).toBe("Everything is there, 1.00 KiB");
  expect(resultInWords({ outcome: "corrupt", at, message: "block 3 does not match." })).toBe("block 3 does not match.");
});

test("what was measured stands beside what was asked for", () => {
  const drill = { proof_id: "", passed: true, at, seconds: 2, all_seconds: 90 };
  const source = {
    source_id: "",
    source_name: "",
    key_holder: "platform",
    newest_snapshot_id: "",
    due_at: null,
  } as const;
  const slow = { ...source, plain_bytes: 2048, drill, objective_seconds: 60 };
  expect(objectiveLook(slow)?.color).toBe("warning");
  expect(objectiveLook({ ...slow, objective_seconds: 120 })?.color).toBe("success");
  expect(objectiveLook({ ...slow, drill: null })).toBe(null);
  expect(recoveryInWords(slow)).toBe("1 min 30 s for all 2.00 KiB at the measured speed; 1 min is the objective");
});
