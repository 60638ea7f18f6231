import { expect, it } from "vitest";
import { entryHash, storable } from "./entry.ts";

it("an entry's hash stays what it is: SHA-256 of the hash before it and its canonical JSON", () => {
  const hash = entryHash("0".repeat(64), {
    tenantId: "0199a0c0-0000-7000-8000-000000000001",
    seq: 1,
    at: new Date("2026-01-02T03:04:05.678Z"),
    actorKind: "user",
    actorId: null,
    actorLabel: "ada@example.test",
    action: "workspace.created",
    targetKind: null,
    targetId: null,
    data: { b: [1, "x"], a: null },
    requestId: "r",
  });
  expect(hash).toBe("544416669242aa23b60054dc4d2ee91e9182807741a9dd476594212593c74e07");
});

it("text becomes what PostgreSQL can keep", () => {
  expect(storable({ "a\0": ["b\ud800c", 1, null], left: undefined })).toEqual({ "a\ufffd": ["b\ufffdc", 1, null] });
  expect(storable("plain 😀")).toBe("plain 😀");
});
