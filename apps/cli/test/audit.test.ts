import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AUDIT_GENESIS, type AuditContent, auditFileName, auditLineText, auditText } from "@xvault/contracts";
import { describe, expect, it } from "vitest";
import { runHere } from "./run-cli.ts";

const dir = mkdtempSync(join(tmpdir(), "xvault-audit-"));
let prev_hash = AUDIT_GENESIS;
/** Entries 1 to 9, each a line; together longer than what is read of a file at once. */
const lines = Array.from({ length: 9 }, (_, index) => {
  const content: AuditContent = {
    v: 1,
    tenant_id: "0199a0c0-0000-7000-8000-000000000001",
    seq: index + 1,
    at: "2026-01-02T03:04:05.678Z",
    actor: { kind: "user", id: null, label: "ada@example.test" },
    action: "source.renamed",
    target: { kind: null, id: null },
    data: { name: `\u2028\r${"é".repeat(20_000)}` },
    request_id: null,
  };
  const hash = createHash("sha256").update(Buffer.from(prev_hash, "hex")).update(auditText(content)).digest("hex");
  const line = auditLineText({ ...content, prev_hash, hash });
  prev_hash = hash;
  return line;
});
const last = prev_hash;

/** A file of entries, named as archives are. */
function archive(from: number, through: number, text = lines.slice(from - 1, through).join("")): string {
  const path = join(mkdtempSync(join(dir, "x")), auditFileName(from, through));
  writeFileSync(path, text);
  return path;
}
const verify = (...args: string[]) => runHere(["audit", "verify", ...args]);

describe("xvault audit verify", () => {
  it("walks one file, and from one into the next", async () => {
    const [first, second] = [archive(1, 4), archive(5, 9)];
    const ran = await verify(first, second, "--hash", last);
    expect(ran.err).toBe("");
    expect(ran.code).toBe(0);
    expect(ran.out).toContain("whole: 9 entries");
    expect(ran.out).toContain(last);
    expect((await verify(second, "--json")).messages()[0]).toMatchObject({
      whole: true,
      entries: 5,
      first: { seq: 5 },
      last: { seq: 9, hash: last },
    });
  });

  it.each([
    ["a changed byte", () => [archive(1, 3, lines.slice(0, 3).join("").replace("renamed", "renamee"))], "Line 1"],
    ["a missing line", () => [archive(1, 3, `${lines[0]}${lines[2]}`)], "entry 2 is missing"],
    ["lines cut off at the end", () => [archive(1, 3, lines.slice(0, 2).join(""))], "ends with entry 2"],
    ["a line cut off", () => [archive(1, 3, lines.slice(0, 3).join("").slice(0, -1))], "cut off"],
    ["a missing beginning", () => [archive(1, 3, lines.slice(1, 3).join(""))], "begins with entry 2"],
    ["a missing file", () => [archive(1, 3), archive(5, 9)], "entry 4 is missing"],
    ["nothing in it", () => [archive(1, 3, "")], "no entry"],
    ["another end than was to be", () => [archive(1, 3), "--hash", last], "was to be"],
  ])("shows %s", async (_name, args, said) => {
    const ran = await verify(...args());
    expect(ran.code).toBe(1);
    expect(ran.err).toContain(said);
    expect(ran.out).toBe("");
  });

  it("knows no file that is not there", async () => {
    expect((await verify(join(dir, "nowhere.jsonl"))).code).toBe(10);
  });
});

const python = spawnSync("python3", ["--version"]).status === 0;
it.skipIf(!python)("a stranger's program, as the documentation has it, walks the same file", () => {
  const page = readFileSync(join(import.meta.dirname, "../../../docs/retention.md"), "utf8");
  const program = /```python\n([\s\S]*?)```/.exec(page)?.[1] ?? "";
  const walk = (file: string) => spawnSync("python3", ["-c", program, file], { encoding: "utf8" });
  const ran = walk(archive(3, 9));
  expect(ran.stderr).toBe("");
  expect(ran.stdout.trim()).toBe(`whole, up to entry 9, hash ${last}`);
  expect(walk(archive(1, 3, lines.slice(0, 3).join("").replace("ada", "eve"))).status).not.toBe(0);
  expect(walk(archive(1, 3, `${lines[0]}${lines[2]}`)).status).not.toBe(0);
});
