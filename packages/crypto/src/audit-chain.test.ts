import { AUDIT_GENESIS, type AuditContent, auditLineText, auditText } from "@xvault/contracts";
import { isXVaultError } from "@xvault/kernel";
import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { createAuditWalk } from "./audit-chain.ts";

const TENANT = "0199a0c0-0000-7000-8000-000000000001";

/** Lines of a chain, without their ends, from a number on. */
function chain(entries: number, from = 1, prev = AUDIT_GENESIS, tenant = TENANT): string[] {
  let prev_hash = prev;
  return Array.from({ length: entries }, (_, index) => {
    const content: AuditContent = {
      v: 1,
      tenant_id: tenant,
      seq: from + index,
      at: "2026-01-02T03:04:05.678Z",
      actor: { kind: "user", id: null, label: "ada@example.test" },
      action: "source.renamed",
      target: { kind: "source", id: "x" },
      data: { name: `n\u2028 ${index}`, nested: [1, { b: null, a: "ü" }] },
      request_id: null,
    };
    const hash = createHash("sha256").update(Buffer.from(prev_hash, "hex")).update(auditText(content)).digest("hex");
    const line = auditLineText({ ...content, prev_hash, hash }).slice(0, -1);
    prev_hash = hash;
    return line;
  });
}

/** What is said of lines that are walked; "whole" where nothing is wrong. */
function walked(lines: readonly string[]): string {
  const walk = createAuditWalk();
  try {
    for (const line of lines) walk.take(line);
    return "whole";
  } catch (error) {
    if (isXVaultError(error, "AUDIT_CHAIN_BROKEN")) return error.message;
    throw error;
  }
}

describe("an archived audit log", () => {
  const lines = chain(5);

  it("is walked from its file alone, also where it begins later", () => {
    const walk = createAuditWalk();
    for (const line of lines.slice(2)) walk.take(line);
    const third = JSON.parse(lines[2] ?? "") as { prev_hash: string };
    const last = JSON.parse(lines[4] ?? "") as { hash: string };
    expect(walk.walked()).toMatchObject({
      entries: 3,
      tenantId: TENANT,
      first: { seq: 3, prevHash: third.prev_hash },
      last: { seq: 5, hash: last.hash },
    });
  });

  it("has a form that stays what it is", () => {
    const [line = ""] = chain(1);
    expect(Object.keys(JSON.parse(line) as object).join(" ")).toBe(
      "action actor at data hash prev_hash request_id seq target tenant_id v",
    );
  });

  it("shows every changed byte", () => {
    const [first = "", second = "", third = ""] = lines;
    for (let at = 0; at < second.length; at += 1) {
      const other = second[at] === "1" ? "2" : "1";
      const changed = second.slice(0, at) + other + second.slice(at + 1);
      expect(walked([first, changed, third]), `byte ${at}`).toMatch(/^Line 2: /);
    }
    expect(walked([first, ` ${second}`, third])).toMatch(/^Line 2: .*form/);
  });

  it("shows a missing line, lines in another order, a cut line, and another chain", () => {
    expect(walked([...lines.slice(0, 2), ...lines.slice(3)])).toMatch(/^Line 3: entry 3 is missing/);
    expect(walked([...lines.slice(0, 2), ...lines.slice(2).toReversed()])).toMatch(/^Line 3: /);
    expect(walked([...lines.slice(0, 4), (lines[4] ?? "").slice(0, -1)])).toMatch(/^Line 5: it is no whole entry/);
    const forged = chain(2, 3, "f".repeat(64));
    expect(walked([...lines.slice(0, 2), ...forged])).toMatch(/^Line 3: entry 3 does not follow/);
    expect(walked(chain(1, 1, "f".repeat(64)))).toMatch(/^Line 1: entry 1 does not follow/);
    const stranger = "0199a0c0-0000-7000-8000-000000000002";
    const { hash } = JSON.parse(lines[1] ?? "") as { hash: string };
    expect(walked([...lines.slice(0, 2), ...chain(1, 3, hash, stranger)])).toMatch(/^Line 3: .*another workspace/);
    expect(walked(lines)).toBe("whole");
  });
});
