import { execFileSync } from "node:child_process";
import { chownSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Owners, PRINT_OWNERS } from "./owners.ts";

const root = process.getuid?.() === 0;

describe("owners' names", () => {
  it("are read from lines, the first of each number, and lines of another kind are no accounts", () => {
    const owners = new Owners("root:0\ntoor:0\nwww data:33\nbroken\n:7\nnobody:-2\nlong:99999999999\n", "");
    expect([0, 33, 7, -2, 99_999_999_999].map((uid) => owners.user(uid))).toEqual([
      "root",
      "www data",
      undefined,
      undefined,
      undefined,
    ]);
  });

  it("come from the host's own files", () => {
    const [users, groups] = execFileSync("sh", ["-c", PRINT_OWNERS], { encoding: "utf8" }).split("\0");
    const owners = new Owners(users ?? "", groups ?? "");
    expect([owners.user(0), owners.group(0)]).toEqual(["root", "root"]);
  });
});

describe.skipIf(!root)(`find${root ? "" : " (skipped: files of other owners take root)"}`, () => {
  let dir: string;
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), "xvault-owners-"));
    const files: [string, number, number][] = [
      ["both-known", 0, 0],
      ["neither", 54_321, 54_322],
      ["user-known", 0, 54_322],
      ["group-known", 54_321, 5],
    ];
    for (const [name, uid, gid] of files) {
      writeFileSync(join(dir, name), "");
      chownSync(join(dir, name), uid, gid);
    }
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  const printed = (owners: Owners) =>
    execFileSync("sh", ["-c", `find "$1" -type f ${owners.print("%f short\\n", "%f %u %g\\n")}`, "sh", dir], {
      encoding: "utf8",
    })
      .trim()
      .split("\n")
      .toSorted();

  it("is asked for the name of those alone that are not known", () => {
    const tty = execFileSync("find", [dir, "-name", "group-known", "-printf", "%g"], { encoding: "utf8" });
    expect(printed(new Owners("root:0\ndaemon:1\n", "root:0\ntty:5\n"))).toEqual([
      "both-known short",
      `group-known 54321 ${tty}`,
      "neither 54321 54322",
      "user-known root 54322",
    ]);
  });

  it("is asked for all of them where none is known", () => {
    expect(printed(new Owners("", "root:0\n")).filter((line) => line.endsWith("short"))).toEqual([]);
  });
});
